#include "worker/crew.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <set>

#include "tests/support/worker_crew_jobs.hpp"
#include "tests/support/worker_fake_loop.hpp"
#include "tests/support/worker_watchdog.hpp"

using namespace narwhal::worker;
using namespace std::chrono_literals;

TEST_CASE("crew: a quick handler runs on the thread that tends the loop, and is completed with its result") {
  for (const unsigned threads : {1u, 4u}) {
    CAPTURE(threads);
    Watchdog dog("quick handler", 20s);
    FakeLoop loop(threads);
    REQUIRE(loop.crew().start());
    Job quick;
    quick.body = [](Job&) { return 7; };
    run_crew(loop, [&] {
      loop.submit(quick);
      eventually([&] { return quick.completed == 1; });
    });
    CHECK(quick.handled == 1);
    CHECK(quick.completed == 1);
    CHECK(quick.result == 7);
    CHECK(quick.with_baton);
    check_clean(loop);
  }
}

TEST_CASE("crew: every thread is started before run() and ended before it returns") {
  for (const unsigned threads : {1u, 3u, 8u}) {
    CAPTURE(threads);
    Watchdog dog("start and end", 20s);
    FakeLoop loop(threads);
    REQUIRE(loop.crew().start());
    const int expected = static_cast<int>(threads) + 1;
    CHECK(loop.thread_starts == expected);
    run_crew(loop, [] {});
    CHECK(loop.thread_ends_seen == expected);
    check_clean(loop);
  }
}

TEST_CASE("crew: start() reports a thread that cannot be set up") {
  // In a process of its own that ends after it, as a worker does: the other threads are left behind.
  CHECK(in_a_child([] {
          FakeLoop loop(3);
          loop.refuse_thread = true;
          ::_exit(loop.crew().start() ? 1 : 0);
        }) == 0);
}

TEST_CASE("crew: a handler that sleeps does not keep the loop waiting") {
  for (const unsigned threads : {1u, 2u}) {
    CAPTURE(threads);
    Watchdog dog("sleeping handler", 30s);
    auto best = 10'000ms;
    // The best of a few tries: other processes may have the processor at any moment.
    for (int attempt = 0; attempt < 5; ++attempt) {
      FakeLoop loop(threads);
      REQUIRE(loop.crew().start());
      auto sleeping = sleeper(50ms * slack);
      std::atomic<Clock::time_point> turned{};
      loop.on_turn = [&] {
        if (sleeping->handled == 1 && turned.load() == Clock::time_point()) turned = Clock::now();
      };
      run_crew(loop, [&] {
        std::this_thread::sleep_for(attempt % 2 == 0 ? 0ms : 30ms);  // the standby is awake, or asleep
        loop.submit(*sleeping);
        eventually([&] {
          loop.wake();
          return sleeping->completed == 1;
        });
      });
      CHECK(sleeping->completed == 1);
      check_clean(loop);
      if (turned.load() != Clock::time_point()) best = std::min(best, since(sleeping->began, turned));
    }
    CHECK(best < 20ms * slack);
  }
}

TEST_CASE("crew: with one handler thread every handler runs on the main thread, slow or quick") {
  Watchdog dog("one handler thread", 30s);
  FakeLoop loop(1);
  REQUIRE(loop.crew().start());
  std::vector<std::unique_ptr<Job>> jobs;
  for (int index = 0; index < 60; ++index) {
    jobs.push_back(index % 7 == 0 ? sleeper(6ms) : job({}));
    jobs.back()->slow = index % 5 == 0;
  }
  run_crew(loop, [&] {
    for (auto& each : jobs) loop.submit(*each);
    CHECK(eventually([&] { return loop.completions == 60; }));
  });
  for (auto& each : jobs) {
    CHECK(each->handled == 1);
    CHECK(each->completed == 1);
    CHECK(each->thread == std::this_thread::get_id());
  }
  CHECK(loop.most_at_once == 1);
  check_clean(loop);
}

TEST_CASE("crew: with one handler thread the main thread gets the loop back after a slow handler") {
  Watchdog dog("loop comes back", 30s);
  FakeLoop loop(1);
  REQUIRE(loop.crew().start());
  auto slow = sleeper(30ms);
  Job after;
  run_crew(loop, [&] {
    loop.submit(*slow);
    CHECK(eventually([&] { return slow->completed == 1; }));
    std::this_thread::sleep_for(20ms);
    loop.submit(after);
    CHECK(eventually([&] { return after.completed == 1; }));
  });
  CHECK(after.with_baton);
  check_clean(loop);
}

TEST_CASE("crew: with one handler thread quick requests run beside the loop again though some wait all the time") {
  Watchdog dog("loop comes back to a busy thread", 30s);
  FakeLoop loop(1);
  REQUIRE(loop.crew().start());
  auto slow = sleeper(30ms);
  std::vector<std::unique_ptr<Job>> quick;
  for (int index = 0; index < 200; ++index) quick.push_back(job({}));
  run_crew(loop, [&] {
    loop.submit(*slow);
    CHECK(eventually([&] { return slow->handled == 1; }));
    for (auto& each : quick) loop.submit(*each);
    CHECK(eventually([&] { return loop.completions == 201; }));
  });
  const auto beside = std::count_if(quick.begin(), quick.end(), [](const auto& each) { return each->with_baton; });
  CHECK(beside > 150);
  for (std::size_t index = 1; index < quick.size(); ++index)
    CHECK(quick[index - 1]->began.load() <= quick[index]->began.load());
  check_clean(loop);
}

TEST_CASE("crew: no more handlers at once than there are handler threads") {
  Watchdog dog("handlers at once", 30s);
  FakeLoop loop(3);
  REQUIRE(loop.crew().start());
  std::vector<std::unique_ptr<Job>> jobs;
  for (int index = 0; index < 30; ++index) jobs.push_back(sleeper(5ms));
  run_crew(loop, [&] {
    for (auto& each : jobs) loop.submit(*each);
    CHECK(eventually([&] { return loop.completions == 30; }));
  });
  CHECK(loop.most_at_once == 3);
  check_clean(loop);
}

TEST_CASE("crew: requests known to be slow start at once on as many threads as there are") {
  for (const unsigned threads : {2u, 4u}) {
    CAPTURE(threads);
    Watchdog dog("slow requests start", 60s);
    auto best = 10'000ms;
    for (int attempt = 0; attempt < 3; ++attempt) {
      FakeLoop loop(threads);
      REQUIRE(loop.crew().start());
      std::vector<std::unique_ptr<Job>> jobs;
      std::vector<Job*> all;
      for (unsigned index = 0; index < threads; ++index) {
        jobs.push_back(sleeper(300ms));
        jobs.back()->slow = true;
        all.push_back(jobs.back().get());
      }
      Clock::time_point submitted;
      run_crew(loop, [&] {
        std::this_thread::sleep_for(50ms);  // everybody has gone to sleep
        submitted = Clock::now();
        loop.submit(all);
        CHECK(eventually([&] { return loop.completions == static_cast<int>(threads); }));
      });
      auto worst = 0ms;
      for (auto& each : jobs) worst = std::max(worst, since(submitted, each->began));
      best = std::min(best, worst);
      for (auto& each : jobs) CHECK_FALSE(each->with_baton);
      check_clean(loop);
    }
    CHECK(best < 100ms);
  }
}

TEST_CASE("crew: requests known to be slow never run where the loop is, with one handler thread either") {
  for (const unsigned threads : {1u, 4u}) {
    CAPTURE(threads);
    Watchdog dog("expected slow", 30s);
    FakeLoop loop(threads);
    REQUIRE(loop.crew().start());
    std::vector<std::unique_ptr<Job>> jobs;
    std::vector<Job*> all;
    for (int index = 0; index < 40; ++index) {
      jobs.push_back(sleeper(1ms));
      jobs.back()->slow = true;
      all.push_back(jobs.back().get());
    }
    run_crew(loop, [&] {
      loop.submit(all);
      CHECK(eventually([&] { return loop.completions == 40; }));
    });
    for (auto& each : jobs) {
      CHECK(each->completed == 1);
      CHECK_FALSE(each->with_baton);
    }
    check_clean(loop);
  }
}

TEST_CASE("crew: first come, first served on the one handler thread") {
  Watchdog dog("order", 30s);
  FakeLoop loop(1);
  REQUIRE(loop.crew().start());
  std::vector<int> order;
  std::vector<std::unique_ptr<Job>> jobs;
  for (int index = 0; index < 40; ++index) {
    jobs.push_back(job([&order, index](Job&) {
      order.push_back(index);
      if (index % 10 == 3) std::this_thread::sleep_for(5ms);
      return 0;
    }));
    jobs.back()->slow = index % 3 == 0;
  }
  run_crew(loop, [&] {
    for (auto& each : jobs) loop.submit(*each);
    CHECK(eventually([&] { return loop.completions == 40; }));
  });
  CHECK(std::is_sorted(order.begin(), order.end()));
  CHECK(order.size() == 40);
}

TEST_CASE("crew: an inline handler stays beside the loop until its patience ends") {
  Watchdog dog("inline patience", 30s);
  FakeLoop loop(2, 100ms * slack);
  REQUIRE(loop.crew().start());
  Job patient, stuck;
  patient.is_inline = stuck.is_inline = true;
  std::atomic<bool> patient_kept{false}, stuck_kept{true};
  patient.body = [&](Job&) {
    std::this_thread::sleep_for(20ms);
    patient_kept = loop.touch();  // nobody has taken the loop over
    return 0;
  };
  stuck.body = [&](Job& self) {
    loop.wait_for_delivery(self);  // only a turn brings it: somebody has to take the loop over
    stuck_kept = loop.touch();
    return 0;
  };
  run_crew(loop, [&] {
    loop.submit(patient);
    CHECK(eventually([&] { return patient.completed == 1; }));
    loop.submit(stuck);
    CHECK(eventually([&] { return stuck.completed == 1; }));
  });
  CHECK(patient_kept);
  CHECK_FALSE(stuck_kept);
  CHECK(since(stuck.began, stuck.ended) >= 100ms * slack);
  check_clean(loop);
}

TEST_CASE("crew: with one handler thread the loop goes on while a stuck inline handler and a request wait") {
  Watchdog dog("stuck inline handler, one handler thread", 30s);
  FakeLoop loop(1, 50ms);
  REQUIRE(loop.crew().start());
  // The main thread is in a slow handler while the other thread tends the loop and meets the inline one.
  auto slow = sleeper(60ms);
  Job stuck, waiting;
  stuck.is_inline = true;
  std::atomic<bool> let_go{false};
  stuck.body = [&](Job&) {
    while (!let_go) std::this_thread::sleep_for(1ms);
    return 0;
  };
  int turns_before = 0, turns_after = 0, settles_before = 0, settles_after = 0;
  run_crew(loop, [&] {
    loop.submit(*slow);
    CHECK(eventually([&] { return slow->handled == 1; }));
    std::this_thread::sleep_for(20ms);
    loop.submit(stuck);
    CHECK(eventually([&] { return stuck.handled == 1; }));
    // The slow one ends, then the inline one's patience as well; a standby that sleeps looks once a second.
    turns_before = loop.turns;
    CHECK(eventually([&] { return loop.turns > turns_before; }, 5s));
    loop.submit(waiting);
    std::this_thread::sleep_for(50ms);
    turns_before = loop.turns, settles_before = loop.settles;
    for (int wakes = 0; wakes < 20; ++wakes) {
      loop.wake();
      std::this_thread::sleep_for(5ms);
    }
    turns_after = loop.turns, settles_after = loop.settles;
    let_go = true;
    CHECK(eventually([&] { return loop.completions == 3; }));
  });
  CHECK(turns_after - turns_before >= 5);
  CHECK(settles_after - settles_before < 1000);  // nobody spins
  check_clean(loop);
}
