#include "worker/wheel.hpp"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <random>
#include <vector>

using namespace narwhal::worker;
using namespace std::chrono_literals;
using narwhal::Instant;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds tick = Wheel::tick;
constexpr milliseconds turn = Wheel::tick * Wheel::slots;  // once round
constexpr Instant start_at{1'000'000'007ms};               // a loop's clock begins anywhere

milliseconds random_time(std::mt19937& random, milliseconds end) {
  return milliseconds(random() % static_cast<std::uint64_t>(end.count()));
}

// A wheel and its clock, as a loop's timer drives them.
struct Clockwork {
  explicit Clockwork(Instant begin = start_at) : now(begin) { wheel.start(now); }

  void pass_to(Instant instant) {
    now = instant;
    wheel.advance(now, [this](WheelEntry& entry) {
      fired.push_back(&entry);
      fired_at[&entry] = now;
    });
  }
  // In steps of the timer.
  void run_to(Instant instant) {
    while (now + tick <= instant) pass_to(now + tick);
  }

  Wheel wheel;
  Instant now;
  std::vector<WheelEntry*> fired;
  std::map<WheelEntry*, Instant> fired_at;
};

}  // namespace

TEST_CASE("wheel: every limit passes, none early and none later than two ticks") {
  for (const milliseconds limit : {0ms, 1ms, tick - 1ms, tick, tick + 1ms, 5 * tick, 1'000ms, 30'000ms, 75'000ms,
                                   turn - tick, turn, turn + 1ms, 3 * turn + 17ms}) {
    for (const milliseconds phase : {0ms, 1ms, tick / 2, tick - 1ms}) {
      CAPTURE(limit.count());
      CAPTURE(phase.count());
      Clockwork clock(start_at + phase);
      WheelEntry entry;
      const Instant due = clock.now + limit;
      clock.wheel.set(entry, due);
      clock.run_to(due + 4 * tick);
      REQUIRE(clock.fired.size() == 1);
      CHECK(clock.fired_at[&entry] >= due);
      CHECK(clock.fired_at[&entry] <= due + 2 * tick);
    }
  }
}

TEST_CASE("wheel: nothing passes twice, and nothing that was never set") {
  Clockwork clock;
  WheelEntry set, never_set;
  clock.wheel.set(set, clock.now + 1000ms);
  clock.run_to(clock.now + 3 * turn);
  CHECK(clock.fired == std::vector<WheelEntry*>{&set});
  CHECK(never_set.after == nullptr);
}

TEST_CASE("wheel: an entry set later stays in its place and still passes at its new time") {
  Clockwork clock;
  WheelEntry entry;
  clock.wheel.set(entry, clock.now + 1000ms);
  WheelEntry* const neighbour = entry.before;
  const Instant due = clock.now + 20'000ms;
  for (Instant later = clock.now + 1500ms; later <= due; later += 500ms) clock.wheel.set(entry, later);
  CHECK(entry.before == neighbour);  // setting is a store and a compare
  clock.wheel.set(entry, due);
  clock.run_to(due - 1ms);
  CHECK(clock.fired.empty());
  clock.run_to(due + 2 * tick);
  CHECK(clock.fired.size() == 1);
}

TEST_CASE("wheel: an entry set earlier moves forward") {
  Clockwork clock;
  WheelEntry entry;
  clock.wheel.set(entry, clock.now + 75'000ms);
  const Instant due = clock.now + 2'000ms;
  clock.wheel.set(entry, due);
  clock.run_to(due + 2 * tick);
  CHECK(clock.fired.size() == 1);
}

TEST_CASE("wheel: an entry that was cleared or removed does not pass, and can be set again") {
  Clockwork clock;
  WheelEntry cleared, removed;
  for (WheelEntry* entry : {&cleared, &removed}) clock.wheel.set(*entry, clock.now + 1000ms);
  Wheel::clear(cleared);
  Wheel::remove(removed);
  Wheel::remove(removed);  // twice is once
  CHECK(removed.after == nullptr);
  clock.run_to(clock.now + 5'000ms);
  CHECK(clock.fired.empty());
  for (WheelEntry* entry : {&cleared, &removed}) clock.wheel.set(*entry, clock.now + 1000ms);
  clock.run_to(clock.now + 5'000ms);
  CHECK(clock.fired.size() == 2);
}

TEST_CASE("wheel: cleared and set again before the hand came by, it passes at the new time alone") {
  Clockwork clock;
  WheelEntry entry;
  clock.wheel.set(entry, clock.now + 1000ms);
  Wheel::clear(entry);
  const Instant due = clock.now + 10'000ms;
  clock.wheel.set(entry, due);
  clock.run_to(due - 1ms);
  CHECK(clock.fired.empty());
  clock.run_to(due + 2 * tick);
  CHECK(clock.fired.size() == 1);
}

TEST_CASE("wheel: after a long stall everything that is due passes at once, and what is not due does not") {
  for (const milliseconds stall : {10 * tick, turn - tick, turn, turn + tick, 7 * turn + 3ms}) {
    CAPTURE(stall.count());
    Clockwork clock;
    std::vector<WheelEntry> due(300), later(300);
    for (int index = 0; index < 300; ++index) {
      clock.wheel.set(due[static_cast<std::size_t>(index)], clock.now + 1ms + index * stall / 301);
      clock.wheel.set(later[static_cast<std::size_t>(index)], clock.now + stall + 1ms + index * 100ms);
    }
    clock.pass_to(clock.now + stall);
    // The last tick's are allowed one tick more.
    clock.pass_to(clock.now);
    for (WheelEntry* entry : clock.fired) CHECK_FALSE((entry >= later.data() && entry < later.data() + 300));
    clock.run_to(clock.now + 2 * tick);
    for (WheelEntry& entry : due) CHECK(clock.fired_at.count(&entry) == 1);
    clock.run_to(clock.now + 300 * 100ms + 4 * tick);
    CHECK(clock.fired.size() == 600);
  }
}

TEST_CASE("wheel: from inside expired() entries are set again, removed and freed") {
  Wheel wheel;
  Instant now = start_at;
  wheel.start(now);
  // All in one slot: the first one to pass frees the second, removes the third and sets itself and the fourth again.
  std::vector<std::unique_ptr<WheelEntry>> entries;
  for (int index = 0; index < 4; ++index) {
    entries.push_back(std::make_unique<WheelEntry>());
    wheel.set(*entries.back(), now + 1000ms);
  }
  WheelEntry* const first = entries[0].get();
  WheelEntry* const fourth = entries[3].get();
  std::map<WheelEntry*, int> passed;
  const auto expired = [&](WheelEntry& entry) {
    if (++passed[&entry] > 1 || &entry != first) return;
    Wheel::remove(*entries[1]);
    entries[1].reset();
    Wheel::remove(*entries[2]);
    wheel.set(*first, now + 1000ms);
    wheel.set(*fourth, now + 5000ms);
  };
  const auto run_for = [&](milliseconds time) {
    for (const Instant until = now + time; now < until; now += tick) wheel.advance(now, expired);
  };
  run_for(2'000ms);
  CHECK(passed == std::map<WheelEntry*, int>{{first, 1}});
  run_for(1'000ms);
  CHECK(passed == std::map<WheelEntry*, int>{{first, 2}});
  run_for(5'000ms);
  CHECK(passed == std::map<WheelEntry*, int>{{first, 2}, {fourth, 1}});
}

TEST_CASE("wheel: set again at once, an entry is met once in one advance") {
  Wheel wheel;
  Instant now = start_at;
  wheel.start(now);
  WheelEntry entry;
  int passed = 0;
  wheel.set(entry, now + 100ms);
  for (int step = 0; step < 40; ++step) {
    now += tick;
    const int before = passed;
    wheel.advance(now, [&](WheelEntry& due) {
      ++passed;
      wheel.set(due, now);  // due already: in the next tick, or a busy loop would never leave advance()
    });
    CHECK(passed - before <= 1);
  }
  CHECK(passed >= 18);
  Wheel::remove(entry);
}

TEST_CASE("wheel: whatever is done to it in whatever order, it agrees with a list that is searched") {
  std::mt19937 random(20261120);
  for (int round = 0; round < 30; ++round) {
    CAPTURE(round);
    Wheel wheel;
    Instant now = start_at + random_time(random, 100'000ms);
    wheel.start(now);
    std::vector<WheelEntry> entries(40);
    std::map<WheelEntry*, Instant> expected;  // when each is due
    int wrong = 0;
    for (int step = 0; step < 3'000; ++step) {
      WheelEntry& entry = entries[random() % entries.size()];
      switch (random() % 8) {
        case 0:
        case 1:
        case 2: {
          const Instant due = now + random_time(random, random() % 10 == 0 ? 2 * turn : 5'000ms);
          wheel.set(entry, due);
          expected[&entry] = due;
          break;
        }
        case 3:
          Wheel::clear(entry);
          expected.erase(&entry);
          break;
        case 4:
          Wheel::remove(entry);
          expected.erase(&entry);
          break;
        default:
          now += random_time(random, random() % 50 == 0 ? 3 * turn : 2 * tick);
          wheel.advance(now, [&](WheelEntry& due) {
            const auto found = expected.find(&due);
            if (found == expected.end() || found->second > now) {
              ++wrong;
              return;
            }
            expected.erase(found);
            if (random() % 3 == 0) {
              wheel.set(due, now + 1'000ms);
              expected[&due] = now + 1'000ms;
            }
          });
          for (const auto& [late, due] : expected) wrong += due + 2 * tick < now ? 1 : 0;
      }
    }
    CHECK(wrong == 0);
    for (WheelEntry& entry : entries) Wheel::remove(entry);
  }
}
