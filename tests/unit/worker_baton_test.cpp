// The baton's word, and what the standby concludes from it.
#include "worker/baton.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "worker/sight.hpp"

using namespace narwhal;
using namespace narwhal::worker;
using namespace std::chrono_literals;

namespace {
constexpr Baton::Handler ordinary{.is_inline = false, .is_counted = false};
constexpr Baton::Handler stays{.is_inline = true, .is_counted = false};
}  // namespace

TEST_CASE("baton: it can be taken while the holder is in the handler in which it was seen, and not after") {
  Baton baton;
  const Baton::Phase outside = baton.seen();
  CHECK_FALSE(outside.in_handler());
  CHECK_FALSE(baton.take(outside));
  const Baton::Phase mine = baton.enter(ordinary);
  CHECK(baton.seen() == mine);
  CHECK_FALSE(baton.take(outside));

  SUBCASE("the holder is first") {
    CHECK(baton.leave(mine));
    CHECK_FALSE(baton.seen().in_handler());
    CHECK_FALSE(baton.take(mine));
  }
  SUBCASE("the standby is first") {
    CHECK(baton.take(mine));
    CHECK_FALSE(baton.seen().in_handler());
    CHECK_FALSE(baton.leave(mine));
    const Baton::Phase next = baton.enter(ordinary);  // by the thread that took it
    CHECK_FALSE(next == mine);
    CHECK_FALSE(baton.leave(mine));
    CHECK(baton.leave(next));
  }
}

TEST_CASE("baton: its word says what kind of handler the holder is in") {
  Baton baton;
  for (const bool is_inline : {false, true}) {
    for (const bool is_counted : {false, true}) {
      CAPTURE(is_inline);
      CAPTURE(is_counted);
      const Baton::Phase mine = baton.enter({.is_inline = is_inline, .is_counted = is_counted});
      CHECK(mine.in_handler());
      CHECK(mine.is_inline() == is_inline);
      CHECK(mine.is_counted() == is_counted);
      CHECK(mine.in_ordinary_handler() == !is_inline);
      CHECK(baton.leave(mine));
      CHECK_FALSE(baton.seen().is_inline());
      CHECK_FALSE(baton.seen().is_counted());
    }
  }
}

TEST_CASE("baton: of the holder that comes back and the standby that takes it, exactly one succeeds") {
  constexpr int rounds_max = 20'000;
  const auto until = now() + 1s;  // on a machine with one processor free, a round takes a change of threads or two
  Baton baton;
  int owned = 0;  // not atomic: only the one that succeeds touches it, which ThreadSanitizer checks
  std::atomic<int> begun{0}, tried{0};
  int left = 0, taken = 0;
  std::thread standby([&] {
    for (int round = 1; round <= rounds_max; ++round) {
      while (begun == round - 1) continue;
      if (begun < 0) return;
      if (baton.take(baton.seen())) ++owned, ++taken;
      tried = round;
    }
  });
  bool both = false, none = false;
  int rounds = 0;
  while (rounds < rounds_max && now() < until) {
    const int round = ++rounds;
    const Baton::Phase mine = baton.enter(ordinary);
    const int taken_before = round - 1 - left;
    begun = round;
    for (int spin = round % 64; spin != 0; --spin) std::atomic_signal_fence(std::memory_order_seq_cst);
    const bool came_back = baton.leave(mine);
    if (came_back) ++owned;
    while (tried != round) continue;
    // The standby may also have looked after the holder came back. It then saw no handler, and took nothing.
    both = both || (came_back && taken != taken_before);
    none = none || (!came_back && taken == taken_before);
    if (came_back) ++left;
  }
  begun = -1;
  standby.join();
  CHECK_FALSE(both);
  CHECK_FALSE(none);
  CHECK(left + taken == rounds);
  CHECK(owned == rounds);
}

TEST_CASE("baton: the standby does not sleep when an ordinary handler has begun, and a later one sees that it sleeps") {
  Baton baton;
  CHECK_FALSE(baton.standby_sleeps());
  CHECK(baton.standby_may_sleep());
  Baton::Phase mine = baton.enter(ordinary);
  CHECK(baton.standby_sleeps());
  baton.standby_woke();
  CHECK_FALSE(baton.standby_sleeps());
  CHECK_FALSE(baton.standby_may_sleep());
  CHECK(baton.leave(mine));
  mine = baton.enter(stays);
  CHECK(baton.standby_may_sleep());  // an inline handler wakes nobody
}

TEST_CASE("sight: an ordinary handler that is seen twice keeps the loop waiting, an inline one after its patience") {
  Baton baton;
  const Instant start = now();
  Sight sight(50ms, start);
  CHECK_FALSE(sight.keeps_waiting(baton.seen(), start + 1ms));
  Baton::Phase mine = baton.enter(ordinary);
  CHECK_FALSE(sight.keeps_waiting(baton.seen(), start + 2ms));
  CHECK(sight.phase() == mine);
  CHECK(sight.keeps_waiting(baton.seen(), start + 3ms));
  baton.leave(mine);
  CHECK_FALSE(sight.keeps_waiting(baton.seen(), start + 4ms));

  mine = baton.enter(stays);
  CHECK_FALSE(sight.keeps_waiting(baton.seen(), start + 100ms));
  CHECK_FALSE(sight.keeps_waiting(baton.seen(), start + 149ms));
  CHECK(sight.keeps_waiting(baton.seen(), start + 150ms));
  baton.leave(mine);
  baton.enter(stays);  // another one has its own time
  CHECK_FALSE(sight.keeps_waiting(baton.seen(), start + 151ms));
  CHECK_FALSE(sight.keeps_waiting(baton.seen(), start + 200ms));
}

TEST_CASE("sight: it is quiet after ten looks without a handler to watch, until there is one") {
  Baton baton;
  const Instant start = now();
  Sight sight(50ms, start);
  for (int look = 0; look < 9; ++look) {
    CHECK_FALSE(sight.keeps_waiting(baton.seen(), start));
    CHECK_FALSE(sight.is_quiet());
  }
  SUBCASE("nothing happens") {
    sight.keeps_waiting(baton.seen(), start);
    CHECK(sight.is_quiet());
    baton.enter(ordinary);
    sight.keeps_waiting(baton.seen(), start);
    CHECK_FALSE(sight.is_quiet());
  }
  SUBCASE("an inline handler runs: it has its patience, so the standby is not needed soon") {
    baton.enter(stays);
    sight.keeps_waiting(baton.seen(), start);
    CHECK(sight.is_quiet());
  }
  SUBCASE("handlers come and go between the looks") {
    baton.leave(baton.enter(ordinary));
    sight.keeps_waiting(baton.seen(), start);
    CHECK_FALSE(sight.is_quiet());
  }
}
