#include "server/clock_watch.hpp"

#include <doctest/doctest.h>

using narwhal::Instant;
using narwhal::server::ClockWatch;
using namespace std::chrono_literals;

TEST_CASE("clock watch: a clock that goes on was not set") {
  ClockWatch watch;
  CHECK_FALSE(watch.look(1'000'000s, Instant(10s)));
  CHECK_FALSE(watch.look(1'000'060s, Instant(70s)));
  CHECK_FALSE(watch.look(1'000'061s + 900ms, Instant(71s)));  // corrected by a little
}

TEST_CASE("clock watch: says once by how much it was set, forward or back") {
  ClockWatch watch;
  CHECK_FALSE(watch.look(1'000'000s, Instant(10s)));
  CHECK(watch.look(996'401s, Instant(11s)) == -3600s);
  CHECK_FALSE(watch.look(996'402s, Instant(12s)));
  CHECK(watch.look(1'000'013s, Instant(13s)) == 3610s);
  CHECK_FALSE(watch.look(1'000'014s, Instant(14s)));
}
