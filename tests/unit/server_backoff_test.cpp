#include "server/backoff.hpp"

#include <doctest/doctest.h>

using narwhal::server::Backoff;

namespace {
constexpr std::uint64_t millisecond = 1'000'000;
}

TEST_CASE("backoff: doubles from 100 ms and stays at 30 s") {
  Backoff backoff;
  for (const std::uint64_t expected : {100u, 200u, 400u, 800u, 1600u, 3200u, 6400u, 12800u, 25600u, 30000u, 30000u}) {
    CHECK(backoff.failed(0) == expected * millisecond);
  }
  for (int i = 0; i < 100; ++i) CHECK(backoff.failed(0) == Backoff::longest_ns);
}

TEST_CASE("backoff: the dice take away a quarter at most, and something") {
  for (const std::uint32_t dice : {1u, 500u, 1023u, 4294967295u}) {
    Backoff backoff;
    const std::uint64_t delay = backoff.failed(dice);
    CHECK(delay < 100 * millisecond);
    CHECK(delay > 74 * millisecond);
  }
}

TEST_CASE("backoff: a long life makes the next failure the first one again") {
  Backoff backoff;
  for (int i = 0; i < 5; ++i) static_cast<void>(backoff.failed(0));
  CHECK(backoff.failures() == 5);
  backoff.recovered();
  CHECK(backoff.failed(0) == 100 * millisecond);
}
