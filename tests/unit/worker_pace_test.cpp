#include <doctest/doctest.h>

#include "worker/pace.hpp"

using narwhal::Instant;
using narwhal::worker::Pace;
using namespace std::chrono_literals;

TEST_CASE("pace: nothing is judged before half a minute is over") {
  Pace pace;
  pace.start(Instant(1'000ms));
  CHECK(!pace.too_slow(Instant(1'000ms), 0, 100));
  CHECK(!pace.too_slow(Instant(30'999ms), 0, 100));
  CHECK(pace.too_slow(Instant(31'000ms), 2'999, 100));
}

TEST_CASE("pace: each half minute is judged by itself, so a quick start buys nothing") {
  Pace pace;
  pace.start(Instant(0ms), 500);
  CHECK(!pace.too_slow(Instant(30'000ms), 1'000'000, 100));
  CHECK(!pace.too_slow(Instant(59'999ms), 1'000'001, 100));
  CHECK(pace.too_slow(Instant(60'000ms), 1'000'002, 100));
}

TEST_CASE("pace: exactly the rate is enough, and a rate of 0 is never missed") {
  Pace pace;
  pace.start(Instant(0ms));
  CHECK(!pace.too_slow(Instant(30'000ms), 3'000, 100));
  CHECK(!pace.too_slow(Instant(60'000ms), 3'000, 0));
}

TEST_CASE("pace: counts may wrap around, for only differences count") {
  Pace pace;
  pace.start(Instant(0ms), static_cast<std::uint64_t>(-1000));
  CHECK(!pace.too_slow(Instant(30'000ms), 2'000, 100));
  pace.start(Instant(0ms), static_cast<std::uint64_t>(-1000));
  CHECK(pace.too_slow(Instant(30'000ms), 1'000, 100));
}
