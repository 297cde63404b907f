#include "worker/recycling.hpp"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <random>

#include "worker/memory_use.hpp"

using namespace narwhal;
using namespace narwhal::worker;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t largest = 0xffffffff;

Config with(unsigned requests, unsigned jitter) {
  Config config;
  config.max_requests = requests;
  config.max_requests_jitter = jitter;
  return config;
}

// A worker with these settings, its counters, and how often it has asked to be replaced.
struct Recycled {
  explicit Recycled(Config settings) : config(std::move(settings)) {
    recycling.expired_context = this;
    recycling.on_expired = [](void* self) {
      auto& recycled = *static_cast<Recycled*>(self);
      ++recycled.reports;
      return recycled.master_listens;
    };
  }
  void answer(unsigned requests) {
    for (unsigned i = 0; i < requests; ++i) counters.request_answered(200, 0, start, start);
    recycling.after_turn(start);
  }

  const Instant start = narwhal::now();
  Config config;
  std::unique_ptr<WorkerSlot> slot = std::make_unique<WorkerSlot>();
  Counters counters{*slot};
  Recycling recycling{config, counters};
  int reports = 0;
  bool master_listens = true;
};

}  // namespace

TEST_CASE("recycling: max_requests is N plus a number from 0 to J; 0 is off, and J alone does nothing") {
  CHECK(draw_limits(with(0, 0), 0, 0).requests == LifeLimits::off);
  CHECK(draw_limits(with(0, 50), largest, 0).requests == LifeLimits::off);
  CHECK(draw_limits(with(20, 0), largest, 0).requests == 20);
  CHECK(draw_limits(with(20, 5), 0, 0).requests == 20);
  CHECK(draw_limits(with(20, 5), largest, 0).requests == 25);
  CHECK(draw_limits(with(1'000'000'000, 1'000'000'000), largest, 0).requests == 2'000'000'000);
}

TEST_CASE("recycling: every number of the jitter is drawn about equally often") {
  std::mt19937 dice(7);
  std::map<std::int64_t, int> drawn;
  for (int i = 0; i < 60'000; ++i) ++drawn[draw_limits(with(20, 5), static_cast<std::uint32_t>(dice()), 0).requests];
  REQUIRE(drawn.size() == 6);
  for (const auto& [limit, times] : drawn) {
    CAPTURE(limit);
    CHECK((limit >= 20 && limit <= 25));
    CHECK((times > 9'000 && times < 11'000));
  }
}

TEST_CASE("recycling: the lifetime is the setting, or up to a tenth less") {
  Config config;
  CHECK(draw_limits(config, 0, largest).age.count() == LifeLimits::off);
  config.max_worker_lifetime = 100s;
  CHECK(draw_limits(config, 0, 0).age == 100s);
  for (const std::uint32_t dice : {1u, 77u, 1024u, 123'456'789u, largest}) {
    const auto age = draw_limits(config, 0, dice).age;
    CHECK((age >= 90s && age <= 100s));
  }
}

TEST_CASE("recycling: which limit has been passed, and how the log says it") {
  Config config = with(20, 5);
  config.max_worker_memory = 200 * 1024 * 1024;
  config.max_worker_lifetime = 60s;
  const LifeLimits limits{.requests = 23, .memory = 200 * 1024 * 1024, .age = 58s};
  CHECK_FALSE(passed_limit({}, limits, config));
  CHECK_FALSE(passed_limit({.requests = 22, .memory = 200 * 1024 * 1024, .age = 57s}, limits, config));
  CHECK(passed_limit({.requests = 23}, limits, config) ==
        "has answered 23 requests (max_requests: 20, with its jitter 23)");
  CHECK(passed_limit({.requests = 20}, {.requests = 20}, config) == "has answered 20 requests (max_requests: 20)");
  CHECK(passed_limit({.memory = 201 * 1024 * 1024}, limits, config) ==
        "uses 201.0 MiB of memory (max_worker_memory: 200.0 MiB)");
  CHECK(passed_limit({.age = 58s}, limits, config) == "has served for 58 s (max_worker_lifetime: 60)");
  CHECK_FALSE(passed_limit({.requests = 1'000'000, .memory = 1ll << 40, .age = 9999h}, LifeLimits{}, config));
}

TEST_CASE("recycling: a worker asks once, at the end of the turn in which it has passed the limit") {
  Recycled worker(with(3, 0));
  worker.recycling.begin(worker.start);
  worker.answer(2);
  CHECK(worker.reports == 0);
  worker.answer(2);
  CHECK(worker.reports == 1);
  worker.answer(5);
  worker.recycling.tick(worker.start + 1h);
  CHECK(worker.reports == 1);
}

TEST_CASE("recycling: refused requests and those without room in the queue do not count") {
  Recycled worker(with(3, 0));
  worker.recycling.begin(worker.start);
  for (int i = 0; i < 5; ++i) {
    worker.counters.request_refused();
    worker.counters.request_overloaded();
  }
  worker.answer(12);
  CHECK(worker.reports == 0);
  worker.answer(1);
  CHECK(worker.reports == 1);
}

TEST_CASE("recycling: a report that the master did not take is sent again") {
  Recycled worker(with(1, 0));
  worker.recycling.begin(worker.start);
  worker.master_listens = false;
  worker.answer(1);
  worker.recycling.tick(worker.start);
  CHECK(worker.reports == 2);
  worker.master_listens = true;
  worker.recycling.tick(worker.start);
  worker.recycling.tick(worker.start);
  CHECK(worker.reports == 3);
}

TEST_CASE("recycling: a retired worker does not ask") {
  Recycled worker(with(1, 0));
  worker.recycling.begin(worker.start);
  worker.recycling.end();
  worker.answer(10);
  worker.recycling.tick(worker.start + 1h);
  CHECK(worker.reports == 0);
}

TEST_CASE("recycling: the age counts from the begin") {
  Config config;
  config.max_worker_lifetime = 10s;
  Recycled worker(config);
  worker.recycling.tick(worker.start + 1h);  // not begun
  CHECK(worker.reports == 0);
  worker.recycling.begin(worker.start);
  worker.recycling.tick(worker.start + 8900ms);
  CHECK(worker.reports == 0);
  worker.recycling.tick(worker.start + 10s);
  CHECK(worker.reports == 1);
}

TEST_CASE("recycling: a memory limit below what a worker needs at its start is not applied") {
  Config config;
  config.max_worker_memory = 1;
  Recycled worker(config);
  worker.recycling.begin(worker.start);
  worker.recycling.tick(worker.start + 1h);
  CHECK(worker.reports == 0);
}

TEST_CASE("recycling: memory that is allocated and used counts") {
  Config config;
  config.max_worker_memory = static_cast<std::size_t>(resident_memory()) + 30 * 1024 * 1024;
  Recycled worker(config);
  worker.recycling.begin(worker.start);
  worker.recycling.tick(worker.start + 1h);
  CHECK(worker.reports == 0);
  const std::string kept(60 * 1024 * 1024, 'x');
  worker.recycling.tick(worker.start + 2h);
  CHECK(worker.reports == 1);
  CHECK(proportional_memory() > static_cast<std::int64_t>(kept.size()));
  CHECK(proportional_memory() <= resident_memory() + 4 * 1024 * 1024);
}
