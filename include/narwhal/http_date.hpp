// Dates in fields: "Sun, 06 Nov 1994 08:49:37 GMT".
// Units      seconds since 1970, UTC, without leap seconds.
// Errors     parse_http_date() returns nothing for what is not a date.
// Threads    any. Neither depends on a locale.
// Source     RFC 9110 5.6.7: all three forms are read, the first one is written.
#pragma once

#include <narwhal/text.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace narwhal {

namespace detail {

inline constexpr std::array<std::string_view, 12> month_names = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
inline constexpr std::array<std::string_view, 7> day_names = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};

inline bool is_leap(std::int64_t year) noexcept { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }
inline int days_in_month(std::int64_t year, int month) noexcept {  // month: 0 to 11
  constexpr std::array<int, 12> days = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return days[static_cast<std::size_t>(month)] + (month == 1 && is_leap(year) ? 1 : 0);
}
// Days from 1970 to the first day of a year from 1 on.
inline std::int64_t days_before_year(std::int64_t year) noexcept {
  const std::int64_t past = year - 1;
  return past * 365 + past / 4 - past / 100 + past / 400 - 719162;
}

// Reads a date from left to right; after a mismatch, nothing matches any more.
class DateReader {
 public:
  explicit DateReader(std::string_view text) noexcept : rest_(text) {}
  bool at_end() const noexcept { return good_ && rest_.empty(); }
  bool good() const noexcept { return good_; }
  void literal(std::string_view text) noexcept {
    good_ = good_ && rest_.starts_with(text);
    if (good_) rest_.remove_prefix(text.size());
  }
  // Exactly so many digits; in asctime's day, a space stands for a leading zero.
  int number(std::size_t digits, bool padded = false) noexcept {
    if (rest_.size() < digits) good_ = false;
    if (!good_) return 0;
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      const char c = padded && i == 0 && rest_[i] == ' ' ? '0' : rest_[i];
      if (c < '0' || c > '9') good_ = false;
      value = value * 10 + (c - '0');
    }
    rest_.remove_prefix(digits);
    return value;
  }
  int month() noexcept {
    for (std::size_t i = 0; i < month_names.size(); ++i) {
      if (!rest_.starts_with(month_names[i])) continue;
      rest_.remove_prefix(month_names[i].size());
      return static_cast<int>(i);
    }
    good_ = false;
    return 0;
  }

 private:
  std::string_view rest_;
  bool good_ = true;
};

}  // namespace detail

inline std::string write_http_date(std::int64_t seconds) {
  std::int64_t days = seconds / 86400, left = seconds % 86400;
  if (left < 0) {
    left += 86400;
    --days;
  }
  std::int64_t year = 1970 + days / 366;
  while (detail::days_before_year(year + 1) <= days) ++year;
  while (detail::days_before_year(year) > days) --year;
  std::int64_t day = days - detail::days_before_year(year);
  int month = 0;
  for (; day >= detail::days_in_month(year, month); ++month) day -= detail::days_in_month(year, month);
  const auto digits = [](std::int64_t number, std::size_t width) {
    std::string text = std::to_string(number);
    return text.size() < width ? std::string(width - text.size(), '0') + text : text;
  };
  const auto weekday = static_cast<std::size_t>(((days % 7) + 7) % 7);
  std::string text(detail::day_names[weekday]);
  text.append(", ").append(digits(day + 1, 2)).append(" ");
  text.append(detail::month_names[static_cast<std::size_t>(month)]).append(" ").append(digits(year, 4)).append(" ");
  text.append(digits(left / 3600, 2)).append(":").append(digits(left / 60 % 60, 2)).append(":");
  return text.append(digits(left % 60, 2)).append(" GMT");
}

// A year of two digits (RFC 850) is the one that is at most 50 years after `year_now`.
inline std::optional<std::int64_t> parse_http_date(std::string_view text, int year_now = 2026) {
  const std::size_t comma = text.find(',');
  int day = 0, month = 0, year = 0, hour = 0, minute = 0, second = 0;
  detail::DateReader reader(text.substr(comma == text.npos ? 0 : comma + 1));
  const auto time = [&] {
    hour = reader.number(2);
    reader.literal(":");
    minute = reader.number(2);
    reader.literal(":");
    second = reader.number(2);
  };
  if (comma == text.npos) {  // Sun Nov  6 08:49:37 1994
    reader = detail::DateReader(text.substr(text.size() < 3 ? text.size() : 3));
    reader.literal(" ");
    month = reader.month();
    reader.literal(" ");
    day = reader.number(2, true);
    reader.literal(" ");
    time();
    reader.literal(" ");
    year = reader.number(4);
  } else {
    const bool rfc850 = text.size() > comma + 4 && text[comma + 4] == '-';  // Sunday, 06-Nov-94 08:49:37 GMT
    const std::string_view separator = rfc850 ? "-" : " ";
    reader.literal(" ");
    day = reader.number(2);
    reader.literal(separator);
    month = reader.month();
    reader.literal(separator);
    year = reader.number(rfc850 ? 2 : 4);
    if (rfc850) year += year_now / 100 * 100;
    if (rfc850 && year > year_now + 50) year -= 100;
    reader.literal(" ");
    time();
    reader.literal(" GMT");
  }
  const bool known = reader.at_end() && year >= 1 && day >= 1 && day <= detail::days_in_month(year, month) &&
                     hour < 24 && minute < 60 && second <= 60;
  if (!known) return std::nullopt;
  std::int64_t days = detail::days_before_year(year) + day - 1;
  for (int i = 0; i < month; ++i) days += detail::days_in_month(year, i);
  return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

}  // namespace narwhal
