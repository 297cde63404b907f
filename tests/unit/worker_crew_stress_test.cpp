// A random mixture of handlers, for NARWHAL_STRESS_SECONDS (2 by default) with each number of threads.
#include <doctest/doctest.h>

#include <cstdlib>
#include <memory>
#include <random>

#include "tests/support/worker_fake_loop.hpp"
#include "tests/support/worker_watchdog.hpp"

using namespace narwhal::worker;
using namespace std::chrono_literals;

namespace {

constexpr int in_flight_max = 48;

std::chrono::milliseconds stress_time() {
  const char* seconds = std::getenv("NARWHAL_STRESS_SECONDS");
  return std::chrono::milliseconds(seconds == nullptr ? 2'000 : std::atoi(seconds) * 1000);
}

enum class Kind { quick, busy, naps, sleeps, reclaims, waits, reclaims_and_waits, count };

// What handlers do to a crew, one kind after the other.
void behave(FakeLoop& loop, Job& self, Kind kind, unsigned microseconds) {
  const auto work = [&](unsigned time) {
    const auto until = Clock::now() + std::chrono::microseconds(time);
    while (Clock::now() < until) continue;
  };
  switch (kind) {
    case Kind::quick: return;
    case Kind::busy: return work(microseconds);
    case Kind::naps: return std::this_thread::sleep_for(std::chrono::microseconds(microseconds * 10));
    case Kind::sleeps: return std::this_thread::sleep_for(std::chrono::microseconds(microseconds * 100));
    case Kind::reclaims:
      for (int time = 0; time < 5; ++time) {
        loop.touch();
        work(microseconds / 5);
      }
      return;
    case Kind::reclaims_and_waits: loop.touch(); [[fallthrough]];
    case Kind::waits:
      for (int time = 0; time < 2; ++time) {
        self.delivered = false;
        if (!loop.tend_for_delivery(self)) ++loop.broken;
        loop.touch();
        loop.crew().tend_in_passing();
      }
      return;
    case Kind::count: return;
  }
}

class Stress {
 public:
  Stress(unsigned threads, unsigned seed) : loop_(threads, 4ms), random_(seed) {}

  void run() {
    REQUIRE(loop_.crew().start());
    loop_.may_finish = [this] { return loop_.completions == loop_.submitted; };
    loop_.on_completed = [this](Job&) { dog_.feed(); };
    run_crew(loop_, [this] { submit_all(); });
    int wrong = 0;
    for (const auto& job : jobs_) wrong += job->handled == 1 && job->completed == 1 ? 0 : 1;
    CHECK(wrong == 0);
    CHECK(loop_.broken == 0);
    CHECK(loop_.too_many == 0);
    CHECK(loop_.wrong_thread == 0);
    MESSAGE(jobs_.size(), " handlers, at most ", loop_.most_at_once.load(), " at once, ", loop_.turns.load(), " turns");
  }

 private:
  void submit_all() {
    const auto until = Clock::now() + stress_time();
    while (Clock::now() < until) {
      std::vector<Job*> burst;
      for (unsigned count = 1 + random_() % 6; count != 0; --count) burst.push_back(another());
      loop_.submit(burst);
      // Sometimes long enough for everybody to fall asleep.
      const unsigned pause = random_() % 200;
      if (pause == 0) std::this_thread::sleep_for(20ms);
      if (pause < 100) std::this_thread::sleep_for(std::chrono::microseconds(pause * 10));
      eventually([&] { return loop_.submitted - loop_.completions < in_flight_max; });
    }
  }

  Job* another() {
    const auto kind = static_cast<Kind>(random_() % static_cast<unsigned>(Kind::count));
    const unsigned microseconds = random_() % 120;
    jobs_.push_back(std::make_unique<Job>());
    Job* job = jobs_.back().get();
    const bool waits = kind == Kind::waits || kind == Kind::reclaims_and_waits;
    job->is_inline = !waits && random_() % 4 == 0;
    job->slow = !job->is_inline && random_() % 4 == 0;
    job->body = [this, kind, microseconds](Job& self) {
      behave(loop_, self, kind, microseconds);
      return 0;
    };
    return job;
  }

  FakeLoop loop_;
  std::mt19937 random_;
  std::vector<std::unique_ptr<Job>> jobs_;
  Watchdog dog_{"a random mixture of handlers", 30s};
};

}  // namespace

TEST_CASE("crew: a random mixture of handlers is handled and completed once each, whatever the number of threads") {
  for (const unsigned threads : {1u, 2u, 8u}) {
    CAPTURE(threads);
    const unsigned seed = std::random_device()();
    CAPTURE(seed);
    Stress(threads, seed).run();
  }
}
