#include <doctest/doctest.h>

#include "worker/pace.hpp"

using narwhal::worker::Pace;

TEST_CASE("pace: nothing is judged before half a minute is over") {
  Pace pace;
  pace.start(1'000);
  CHECK(!pace.too_slow(1'000, 0, 100));
  CHECK(!pace.too_slow(30'999, 0, 100));
  CHECK(pace.too_slow(31'000, 2'999, 100));
}

TEST_CASE("pace: each half minute is judged by itself, so a quick start buys nothing") {
  Pace pace;
  pace.start(0, 500);
  CHECK(!pace.too_slow(30'000, 1'000'000, 100));
  CHECK(!pace.too_slow(59'999, 1'000'001, 100));
  CHECK(pace.too_slow(60'000, 1'000'002, 100));
}

TEST_CASE("pace: exactly the rate is enough, and a rate of 0 is never missed") {
  Pace pace;
  pace.start(0);
  CHECK(!pace.too_slow(30'000, 3'000, 100));
  CHECK(!pace.too_slow(60'000, 3'000, 0));
}

TEST_CASE("pace: counts may wrap around, for only differences count") {
  Pace pace;
  pace.start(0, static_cast<std::uint64_t>(-1000));
  CHECK(!pace.too_slow(30'000, 2'000, 100));
  pace.start(0, static_cast<std::uint64_t>(-1000));
  CHECK(pace.too_slow(30'000, 1'000, 100));
}
