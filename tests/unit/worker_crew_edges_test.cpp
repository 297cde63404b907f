// The crew where it is hardest: taking the loop back, requests put back, threads refused, the last one out.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <set>

#include "tests/support/worker_crew_jobs.hpp"
#include "tests/support/worker_fake_loop.hpp"
#include "tests/support/worker_watchdog.hpp"
#include "worker/crew.hpp"

using namespace narwhal::worker;
using namespace std::chrono_literals;

TEST_CASE("crew: a handler takes the loop back as long as nobody has taken it over, and not after") {
  Watchdog dog("reclaim", 30s);
  FakeLoop loop(2);
  REQUIRE(loop.crew().start());
  std::atomic<int> early{0}, late{0};
  Job reclaiming;
  reclaiming.body = [&](Job&) {
    for (int time = 0; time < 3; ++time) early += loop.touch() ? 1 : 0;
    std::this_thread::sleep_for(100ms);
    for (int time = 0; time < 3; ++time) late += loop.touch() ? 1 : 0;
    return 0;
  };
  run_crew(loop, [&] {
    loop.submit(reclaiming);
    CHECK(eventually([&] { return reclaiming.completed == 1; }));
  });
  CHECK(early == 3);
  CHECK(late == 0);
  check_clean(loop);
}

TEST_CASE("crew: a thread of no crew, or outside a handler, cannot reclaim the loop") {
  Watchdog dog("reclaim from outside", 30s);
  FakeLoop loop(1);
  REQUIRE(loop.crew().start());
  CHECK_FALSE(loop.crew().reclaim());
  bool other = true;
  run_crew(loop, [&] { other = loop.crew().reclaim(); });
  CHECK_FALSE(other);
}

TEST_CASE("crew: requests that wait can be taken back and put back, and none is lost or run twice") {
  Watchdog dog("take_waiting", 30s);
  FakeLoop loop(2);
  REQUIRE(loop.crew().start());
  std::atomic<bool> let_go{false}, take{false};
  std::vector<std::unique_ptr<Job>> busy, waiting;
  std::vector<Job*> all;
  for (int index = 0; index < 2; ++index) {
    busy.push_back(job([&](Job&) {
      while (!let_go) std::this_thread::sleep_for(1ms);
      return 0;
    }));
    loop.submit(*busy.back());
  }
  for (int index = 0; index < 5; ++index) {
    waiting.push_back(job({}));
    all.push_back(waiting.back().get());
  }
  std::vector<Task*> taken;
  unsigned free_before = 9, waiting_before = 0, waiting_after = 9;
  std::atomic<bool> took{false};
  loop.on_turn = [&] {
    if (!take.exchange(false)) return;
    free_before = loop.crew().counts().free_handlers();
    waiting_before = loop.crew().counts().waiting();
    Task::List waiting = loop.crew().take_waiting(), staying;
    waiting_after = loop.crew().counts().waiting();
    while (Task* const task = waiting.take()) {
      taken.push_back(task);
      if (taken.size() <= 3) staying.add(*task);
    }
    loop.crew().enqueue_again(staying);
    took = true;
  };
  run_crew(loop, [&] {
    CHECK(eventually([&] { return busy[0]->handled + busy[1]->handled == 2; }));
    loop.submit(all);
    CHECK(eventually([&] { return loop.crew().counts().waiting() == 5; }));
    take = true;
    loop.wake();
    CHECK(eventually([&] { return took.load(); }));
    let_go = true;
    CHECK(eventually([&] { return loop.completions == 5; }));
  });
  CHECK(free_before == 0);
  CHECK(waiting_before == 5);
  CHECK(waiting_after == 0);
  REQUIRE(taken.size() == 5);
  for (std::size_t index = 0; index < 5; ++index) {
    CHECK(taken[index] == all[index]);
    CHECK(all[index]->handled == (index < 3 ? 1 : 0));
    CHECK(all[index]->completed == (index < 3 ? 1 : 0));
  }
  check_clean(loop);
}

TEST_CASE("crew: several requests that are put back wake several threads") {
  Watchdog dog("enqueue_again", 30s);
  auto best = 10'000ms;
  for (int attempt = 0; attempt < 3; ++attempt) {
    FakeLoop loop(4);
    REQUIRE(loop.crew().start());
    std::vector<std::unique_ptr<Job>> jobs;
    for (int index = 0; index < 4; ++index) jobs.push_back(sleeper(300ms));
    std::atomic<bool> put{false};
    loop.on_turn = [&] {
      if (!put.exchange(false)) return;
      Task::List all;
      for (auto& each : jobs) all.add(*each);
      loop.crew().enqueue_again(all);
    };
    Clock::time_point submitted;
    run_crew(loop, [&] {
      std::this_thread::sleep_for(50ms);
      submitted = Clock::now();
      put = true;
      loop.wake();
      CHECK(eventually([&] { return loop.completions == 4; }));
    });
    auto worst = 0ms;
    for (auto& each : jobs) worst = std::max(worst, since(submitted, each->began));
    best = std::min(best, worst);
  }
  CHECK(best < 100ms);
}

TEST_CASE("crew: whoever leaves has completed what was handled last") {
  Watchdog dog("last completion", 60s);
  // The last handler, on a thread of its own, ends at about the time at which the holder asks whether it may leave.
  for (int round = 0; round < 300; ++round) {
    FakeLoop loop(2);
    REQUIRE(loop.crew().start());
    Job last;
    last.slow = true;
    last.body = [&](Job&) {
      loop.stop();
      return 0;
    };
    std::thread waker([&] {
      while (last.completed == 0 && loop.thread_ends_seen == 0) loop.wake();
    });
    loop.submit(last);
    loop.crew().run();
    waker.join();
    CHECK(last.completed == 1);
    dog.feed();
  }
}

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
TEST_CASE("crew: start() reports a thread that the system refuses, and the process can still end") {
  CHECK(in_a_child([] {
          FakeLoop loop(200);
          // Room for some of the stacks (8 MiB each), not for all.
          const rlimit limit{std::size_t{800} << 20, std::size_t{800} << 20};
          ::setrlimit(RLIMIT_AS, &limit);
          ::_exit(loop.crew().start() ? 1 : 0);
        }) == 0);
}
#endif
