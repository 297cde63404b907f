// A handler that waits for the loop, or speaks to it often, tends it itself.
#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "tests/support/worker_crew_jobs.hpp"
#include "tests/support/worker_fake_loop.hpp"
#include "tests/support/worker_watchdog.hpp"
#include "worker/crew.hpp"

using namespace narwhal::worker;
using namespace std::chrono_literals;

TEST_CASE("crew: a handler that waits for the loop gets what the loop brings") {
  for (const unsigned threads : {1u, 2u, 8u}) {
    CAPTURE(threads);
    Watchdog dog("waiting for the loop", 30s);
    FakeLoop loop(threads);
    REQUIRE(loop.crew().start());
    std::vector<std::unique_ptr<Job>> jobs;
    for (int index = 0; index < 50; ++index) {
      jobs.push_back(job([&](Job& self) { return loop.tend_for_delivery(self) ? 1 : -1; }));
    }
    run_crew(loop, [&] {
      for (auto& each : jobs) loop.submit(*each);
      CHECK(eventually([&] { return loop.completions == 50; }));
    });
    for (auto& each : jobs) CHECK(each->result == 1);
    check_clean(loop);
  }
}

TEST_CASE("crew: a handler that holds the loop tends it while it waits, and holds it afterwards") {
  for (const unsigned threads : {1u, 2u}) {
    CAPTURE(threads);
    Watchdog dog("tending", 30s);
    FakeLoop loop(threads);
    REQUIRE(loop.crew().start());
    Job waiting;
    std::atomic<bool> at_it{false};
    std::atomic<int> turns{0}, elsewhere{0};
    loop.on_turn = [&] {
      if (!at_it) return;
      ++turns;
      if (std::this_thread::get_id() != waiting.thread) ++elsewhere;
    };
    waiting.body = [&](Job&) {
      at_it = true;
      const int wanted = turns + 100;
      const bool tended = loop.crew().tend_until([&] {
        loop.wake();
        return turns >= wanted;
      });
      at_it = false;
      return tended && loop.touch() ? 1 : -1;
    };
    run_crew(loop, [&] {
      loop.submit(waiting);
      CHECK(eventually([&] { return waiting.completed == 1; }));
    });
    CHECK(waiting.result == 1);
    CHECK(elsewhere == 0);
    check_clean(loop);
  }
}

TEST_CASE("crew: what is read when requests are handed out ends the tending without another turn") {
  Watchdog dog("what came before the wait", 30s);
  FakeLoop loop(1);
  REQUIRE(loop.crew().start());
  Job waiting;
  bool has_come = false;
  int turned = -1;
  waiting.body = [&](Job&) {
    loop.on_next_ready = [&] { has_come = true; };
    const int before = loop.turns;
    const bool tended = loop.crew().tend_until([&] { return has_come; });
    loop.on_next_ready = nullptr;
    turned = loop.turns - before;
    return tended ? 1 : -1;
  };
  run_crew(loop, [&] {
    loop.submit(waiting);
    CHECK(eventually([&] { return loop.completions == 1; }));
  });
  CHECK(waiting.result == 1);
  CHECK(turned == 0);
  check_clean(loop);
}

TEST_CASE("crew: what comes while a handler tends the loop goes to other threads, or waits for it") {
  for (const unsigned threads : {1u, 2u}) {
    CAPTURE(threads);
    Watchdog dog("requests while a handler tends", 30s);
    FakeLoop loop(threads);
    REQUIRE(loop.crew().start());
    Job waiting, other;
    std::atomic<bool> enough{false};
    waiting.body = [&](Job&) { return loop.crew().tend_until([&] { return enough.load(); }) ? 1 : -1; };
    run_crew(loop, [&] {
      loop.submit(waiting);
      CHECK(eventually([&] { return waiting.handled == 1; }));
      loop.submit(other);
      if (threads == 1) {
        CHECK(eventually([&] { return loop.crew().counts().waiting() == 1; }));
        CHECK(other.handled == 0);
      } else {
        CHECK(eventually([&] { return other.completed == 1; }));
        CHECK(waiting.completed == 0);
      }
      enough = true;
      loop.wake();
      CHECK(eventually([&] { return loop.completions == 2; }));
    });
    CHECK(waiting.result == 1);
    CHECK(other.thread != std::thread::id());
    check_clean(loop);
  }
}

TEST_CASE("crew: a handler that has tended the loop still takes up its place, and frees it in the end") {
  Watchdog dog("places", 30s);
  FakeLoop loop(2);
  REQUIRE(loop.crew().start());
  Job tends, busy, waits;
  std::atomic<bool> enough{false}, let_tending_go{false}, let_busy_go{false};
  tends.body = [&](Job&) {
    const bool tended = loop.crew().tend_until([&] { return enough.load(); });
    while (!let_tending_go) std::this_thread::sleep_for(1ms);
    return tended ? 1 : -1;
  };
  busy.body = [&](Job&) {
    while (!let_busy_go) std::this_thread::sleep_for(1ms);
    return 0;
  };
  run_crew(loop, [&] {
    loop.submit(tends);
    CHECK(eventually([&] { return tends.handled == 1; }));
    loop.submit(busy);
    CHECK(eventually([&] { return busy.handled == 1; }));
    loop.submit(waits);
    CHECK(eventually([&] { return loop.crew().counts().waiting() == 1; }));
    enough = true;
    loop.wake();
    std::this_thread::sleep_for(50ms);  // the standby looks once a millisecond
    CHECK(waits.handled == 0);
    let_tending_go = true;
    CHECK(eventually([&] { return waits.completed == 1; }));
    CHECK(busy.completed == 0);
    let_busy_go = true;
    CHECK(eventually([&] { return loop.completions == 3; }));
  });
  CHECK(tends.result == 1);
  check_clean(loop);
}

TEST_CASE("crew: a handler that tends the loop gives it away for what only runs beside the loop") {
  Watchdog dog("an inline handler while a handler tends", 30s);
  auto best = 10'000ms;
  for (int attempt = 0; attempt < 5; ++attempt) {
    FakeLoop loop(1);
    REQUIRE(loop.crew().start());
    Job waiting, quick;
    quick.is_inline = true;
    std::atomic<bool> kept{true}, touched{true};
    std::atomic<Clock::time_point> asked{};
    waiting.body = [&](Job& self) {
      kept = loop.crew().tend_until([] { return false; });
      touched = loop.touch();  // it is not ours any more
      return loop.wait_for_delivery(self) ? 1 : -1;
    };
    run_crew(loop, [&] {
      loop.submit(waiting);
      CHECK(eventually([&] { return waiting.handled == 1; }));
      std::this_thread::sleep_for(30ms);
      asked = Clock::now();
      loop.submit(quick);
      CHECK(eventually([&] { return loop.completions == 2; }));
    });
    CHECK_FALSE(kept);
    CHECK_FALSE(touched);
    CHECK(waiting.result == 1);
    CHECK(quick.thread != waiting.thread);
    best = std::min(best, since(asked, quick.began));
    check_clean(loop);
  }
  CHECK(best < 5ms * slack);  // at once, not after the standby's millisecond
}

TEST_CASE("crew: a loop that was taken from a stuck inline handler can be given away again") {
  Watchdog dog("taken, then given away", 30s);
  FakeLoop loop(1, 20ms);
  REQUIRE(loop.crew().start());
  // The main thread asks for the loop, and takes it when the inline handler's patience ends.
  auto slow = sleeper(60ms);
  Job stuck, waiting, quick;
  stuck.is_inline = quick.is_inline = true;
  std::atomic<bool> let_go{false};
  stuck.body = [&](Job&) {
    while (!let_go) std::this_thread::sleep_for(1ms);
    return 0;
  };
  waiting.body = [&](Job& self) {
    const bool kept = loop.crew().tend_until([] { return false; });
    return !kept && loop.wait_for_delivery(self) ? 1 : -1;
  };
  run_crew(loop, [&] {
    loop.submit(*slow);
    CHECK(eventually([&] { return slow->handled == 1; }));
    std::this_thread::sleep_for(20ms);
    loop.submit(stuck);
    CHECK(eventually([&] { return stuck.handled == 1; }));
    const int turns = loop.turns;
    CHECK(eventually([&] { return loop.turns > turns; }));
    let_go = true;
    CHECK(eventually([&] { return stuck.completed == 1; }));
    loop.submit(waiting);
    CHECK(eventually([&] { return waiting.handled == 1; }));
    loop.submit(quick);
    CHECK(eventually([&] { return loop.completions == 4; }));
  });
  CHECK(waiting.result == 1);
  check_clean(loop);
}

TEST_CASE("crew: a handler that speaks to the loop all the time can turn it in passing") {
  Watchdog dog("in passing", 30s);
  FakeLoop loop(1);
  REQUIRE(loop.crew().start());
  Job talking, inline_one;
  inline_one.is_inline = true;
  bool came = false;
  talking.body = [&](Job&) {
    // Each touch is seen as something new, so that the standby never takes the loop over.
    for (const auto until = Clock::now() + 20s; !came && Clock::now() < until;) {
      loop.touch();
      loop.crew().tend_in_passing();
      came = inline_one.completed == 1;
    }
    return 0;
  };
  run_crew(loop, [&] {
    loop.submit(talking);
    CHECK(eventually([&] { return talking.handled == 1; }));
    loop.submit(inline_one);
    CHECK(eventually([&] { return loop.completions == 2; }));
  });
  CHECK(came);
  check_clean(loop);
}

// ---- who holds the loop, for a signal handler ----

TEST_CASE("crew: the holder is the member that runs the loop, or whose handler nobody has taken the loop from") {
  Watchdog dog("holder", 30s);
  FakeLoop loop(2, 10s);  // patience: the inline handler keeps the loop
  REQUIRE(loop.crew().start());
  CHECK_FALSE(loop.crew().holder().has_value());
  std::atomic<bool> inline_runs{false}, inline_may_end{false}, slow_may_end{false};
  Job keeping, losing;
  keeping.is_inline = true;
  keeping.body = [&](Job&) {
    inline_runs = true;
    while (!inline_may_end) std::this_thread::sleep_for(1ms);
    return 0;
  };
  losing.body = [&](Job&) {
    while (!slow_may_end) std::this_thread::sleep_for(1ms);
    return 0;
  };
  run_crew(loop, [&] {
    const auto tends = [&] {
      const auto holder = loop.crew().holder();
      return holder && !holder->in_handler;
    };
    CHECK(eventually(tends));
    const unsigned first = loop.crew().holder()->member;
    loop.submit(losing);
    CHECK(eventually([&] { return losing.handled == 1 && tends(); }));
    CHECK(losing.member == first);  // which still believes to have the baton
    const unsigned second = loop.crew().holder()->member;
    CHECK(second != first);
    loop.submit(keeping);
    CHECK(eventually([&] { return inline_runs.load(); }));
    const auto holder = loop.crew().holder();
    CHECK((holder && holder->in_handler && holder->member == second));
    inline_may_end = slow_may_end = true;
    CHECK(eventually([&] { return loop.completions == 2; }));
  });
  CHECK_FALSE(loop.crew().holder().has_value());
  check_clean(loop);
}

TEST_CASE("crew: a handler that tends the loop is the holder, and does not keep it") {
  Watchdog dog("holder that tends", 30s);
  FakeLoop loop(2);
  REQUIRE(loop.crew().start());
  std::atomic<int> tended{0}, others{0};
  Job waiting;
  std::atomic<bool> tends{false};
  loop.on_turn = [&] {
    if (!tends) return;
    const auto holder = loop.crew().holder();
    ++(holder && !holder->in_handler && holder->member == waiting.member ? tended : others);
  };
  waiting.body = [&](Job&) {
    tends = true;
    const bool good = loop.crew().tend_until([&] {
      loop.wake();
      return tended + others >= 10;
    });
    tends = false;
    return good ? 1 : -1;
  };
  run_crew(loop, [&] {
    loop.submit(waiting);
    CHECK(eventually([&] { return waiting.completed == 1; }));
  });
  CHECK(waiting.result == 1);
  CHECK(tended >= 10);
  CHECK(others == 0);
  check_clean(loop);
}
