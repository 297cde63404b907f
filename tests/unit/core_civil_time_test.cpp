#include "core/civil_time.hpp"

#include <doctest/doctest.h>
#include <time.h>

using narwhal::civil_time;
using narwhal::CivilTime;

TEST_CASE("civil time: it is what gmtime_r() makes of the same second, leap days and centuries included") {
  for (std::int64_t seconds = 0; seconds < 253402300799; seconds += 86400 * 13 + 3671) {
    CAPTURE(seconds);
    tm known{};
    const time_t when = seconds;
    REQUIRE(::gmtime_r(&when, &known) != nullptr);
    const CivilTime time = civil_time(seconds);
    REQUIRE(time.year == static_cast<unsigned>(known.tm_year) + 1900);
    REQUIRE(time.month == static_cast<unsigned>(known.tm_mon) + 1);
    REQUIRE(time.day == static_cast<unsigned>(known.tm_mday));
    REQUIRE(time.weekday == static_cast<unsigned>(known.tm_wday));
    REQUIRE(time.hour == static_cast<unsigned>(known.tm_hour));
    REQUIRE(time.minute == static_cast<unsigned>(known.tm_min));
    REQUIRE(time.second == static_cast<unsigned>(known.tm_sec));
  }
}

TEST_CASE("civil time: times outside its years become the nearest inside") {
  CHECK(civil_time(-1).year == 1970);
  CHECK(civil_time(253402300800).year == 9999);
  CHECK(civil_time(253402300800).second == 59);
}
