#include "server/backoff.hpp"

#include <doctest/doctest.h>

using narwhal::server::Backoff;
using namespace std::chrono_literals;

TEST_CASE("backoff: doubles from 100 ms and stays at 30 s") {
  Backoff backoff;
  for (const auto expected : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 12800ms, 25600ms, 30000ms, 30000ms}) {
    CHECK(backoff.failed(0) == expected);
  }
  for (int i = 0; i < 100; ++i) CHECK(backoff.failed(0) == Backoff::longest);
}

TEST_CASE("backoff: the dice shorten it, by a quarter at most") {
  for (const std::uint32_t dice : {1u, 500u, 1023u, 4294967295u}) {
    Backoff backoff;
    const auto delay = backoff.failed(dice);
    CHECK(delay < 100ms);
    CHECK(delay > 74ms);
  }
}

TEST_CASE("backoff: a long life makes the next failure the first one again") {
  Backoff backoff;
  for (int i = 0; i < 5; ++i) static_cast<void>(backoff.failed(0));
  CHECK(backoff.failures() == 5);
  backoff.recovered();
  CHECK(backoff.failed(0) == 100ms);
}
