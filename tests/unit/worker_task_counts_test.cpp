#include "worker/task_counts.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "tests/support/worker_crew_jobs.hpp"
#include "tests/support/worker_fake_loop.hpp"
#include "tests/support/worker_watchdog.hpp"

using namespace narwhal::worker;
using namespace std::chrono_literals;

TEST_CASE("task counts: each place counts, and handlers are free when neither a task nor a handler needs them") {
  TaskCounts counts(2);
  CHECK(counts.idle());
  CHECK(counts.free_handlers() == 2);
  counts.now_waiting(3);
  CHECK_FALSE(counts.all_handled());
  CHECK(counts.free_handlers() == 0);
  counts.now_waiting(1);
  CHECK(counts.free_handlers() == 1);
  counts.began_elsewhere();
  CHECK(counts.waiting() == 0);
  CHECK(counts.handling() == 1);
  CHECK(counts.free_handlers() == 1);
  CHECK_FALSE(counts.all_handled());
  CHECK(counts.another_may_begin());
  counts.add_handler();
  CHECK_FALSE(counts.another_may_begin());
  counts.remove_handler();
  counts.returned();
  CHECK(counts.all_handled());
  CHECK(counts.any_returned());
  CHECK_FALSE(counts.idle());
  counts.collected();
  CHECK(counts.idle());
}

// With the two reads in the other order, one task in some thousand is missed.
TEST_CASE("task counts: a task that moves from place to place is never missed") {
  Watchdog dog("a task that moves", 30s);
  TaskCounts counts(1);
  std::atomic<bool> stop{false};
  std::thread handler([&] {
    while (!stop) {
      if (counts.waiting() == 0) continue;
      counts.began_elsewhere();
      counts.returned();
    }
  });
  const auto until = Clock::now() + 1s;
  long tasks = 0, missed_by_idle = 0;
  while (Clock::now() < until) {
    for (int count = 0; count < 100; ++count, ++tasks) {
      counts.now_waiting(1);
      // There is a task somewhere until this thread, the holder, collects it.
      do {
        if (counts.idle()) ++missed_by_idle;
      } while (!counts.any_returned());
      while (counts.handling() != 0) continue;
      counts.collected();
    }
  }
  stop = true;
  handler.join();
  CHECK(missed_by_idle == 0);
  MESSAGE(tasks, " tasks");
}

TEST_CASE("task counts: a handler that a waiting task has taken is never seen as free") {
  Watchdog dog("a handler that is taken", 30s);
  TaskCounts counts(1);
  std::atomic<bool> stop{false};
  std::atomic<long> handled{0};
  std::thread handler([&] {
    for (long task = 1; !stop; ++task) {
      while (counts.waiting() == 0 && !stop) continue;
      if (stop) return;
      counts.began_elsewhere();
      handled = task;
      while (handled == task && !stop) continue;  // until the holder has looked once more
      counts.returned();
    }
  });
  const auto until = Clock::now() + 1s;
  long seen_free = 0;
  for (long task = 1; Clock::now() < until; ++task) {
    counts.now_waiting(1);
    do {
      if (counts.free_handlers() != 0) ++seen_free;
    } while (handled != task);
    handled = 0;
    while (counts.handling() != 0) continue;
    counts.collected();
  }
  stop = true;
  handler.join();
  CHECK(seen_free == 0);
}

TEST_CASE("crew: it is never idle while a task that it was given has not been completed") {
  for (const unsigned threads : {1u, 2u, 4u}) {
    CAPTURE(threads);
    Watchdog dog("idle crew", 30s);
    FakeLoop loop(threads);
    REQUIRE(loop.crew().start());
    std::vector<std::unique_ptr<Job>> jobs;
    for (int index = 0; index < 2'000; ++index) {
      jobs.push_back(job({}));
      jobs.back()->slow = true;  // so that each goes to another thread
    }
    int missed = 0;
    loop.on_turn = [&] {
      for (int look = 0; look < 200; ++look) {
        if (loop.crew().counts().idle() && loop.taken != loop.completions) ++missed;
      }
      loop.wake();
    };
    run_crew(loop, [&] {
      const auto until = Clock::now() + 1s;
      for (auto& each : jobs) {
        if (Clock::now() > until) break;
        loop.submit(*each);
        while (loop.submitted - loop.completions > 1) std::this_thread::yield();
      }
      CHECK(eventually([&] { return loop.completions == loop.submitted; }));
    });
    CHECK(missed == 0);
    check_clean(loop);
  }
}
