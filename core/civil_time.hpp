// CivilTime: a date and a time of day in UTC. Not by gmtime_r(), which is not safe in a signal handler.
// Units    seconds since 1970-01-01 00:00:00. Years 1970 to 9999: other times become the nearest of these.
// Threads  any, and signal handlers.
#pragma once

#include <cstdint>

namespace narwhal {

struct CivilTime {
  unsigned year, month, day;      // month and day from 1
  unsigned weekday;               // 0: Sunday
  unsigned hour, minute, second;  // without leap seconds
};

// After Howard Hinnant's "chrono-compatible low-level date algorithms": years begin in March, so that the leap day is
// the last day of its year.
constexpr CivilTime civil_time(std::int64_t unix_seconds) noexcept {
  constexpr std::int64_t last = 253402300799;  // 9999-12-31 23:59:59
  const auto seconds = static_cast<std::uint64_t>(unix_seconds < 0 ? 0 : unix_seconds > last ? last : unix_seconds);
  const std::uint64_t days = seconds / 86400;
  const auto of_day = static_cast<unsigned>(seconds % 86400);
  const std::uint64_t shifted = days + 719468;  // since 0000-03-01
  const std::uint64_t era = shifted / 146097;   // of 400 years
  const auto of_era = static_cast<unsigned>(shifted % 146097);
  const unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned march_month = (5 * of_year + 2) / 153;
  const unsigned month = march_month < 10 ? march_month + 3 : march_month - 9;
  return {.year = static_cast<unsigned>(era * 400) + year_of_era + (month <= 2 ? 1 : 0),
          .month = month,
          .day = of_year - (153 * march_month + 2) / 5 + 1,
          .weekday = static_cast<unsigned>((days + 4) % 7),
          .hour = of_day / 3600,
          .minute = of_day / 60 % 60,
          .second = of_day % 60};
}

}  // namespace narwhal
