#include "server/successor_policy.hpp"

#include <doctest/doctest.h>

using narwhal::Instant;
using namespace narwhal::server;
using namespace std::chrono_literals;

TEST_CASE("successor policy: back-off only for workers that have answered nothing") {
  CHECK(needs_back_off({0ms, 0, false}));
  CHECK(needs_back_off({9s, 0, false}));
  CHECK_FALSE(needs_back_off({1ms, 1, false}));
  CHECK_FALSE(needs_back_off({10s, 0, false}));
}

TEST_CASE("successor policy: a worker that an operator has ended is no failure, unless it had not booted") {
  CHECK_FALSE(needs_back_off({1ms, 0, true}));
  CHECK(needs_back_off({0ms, 0, true}));
}

TEST_CASE("successor policy: two forks for one place are a moment apart") {
  const Instant spawned{100s};
  CHECK(soonest_successor(spawned, spawned + 10ms) == spawned + pace);
  CHECK(soonest_successor(spawned, spawned + 1s) == spawned + 1s);
}
