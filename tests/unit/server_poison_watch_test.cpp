// Which requests are refused because workers have died in them.
#include "server/poison_watch.hpp"

#include <doctest/doctest.h>

#include <memory>

#include "core/scoreboard.hpp"

using namespace narwhal;
using namespace narwhal::server;
using namespace std::chrono_literals;

namespace {

struct Trial {
  Trial() {
    config.poison_limit = 3;
    config.poison_window = 60s;
  }
  void dies(std::vector<std::string> suspects) { watch.died(table, std::move(suspects), config, now); }
  bool refuses(std::string_view method, std::string_view target) { return table.refuses(method, target, now); }
  void later(std::chrono::seconds by) {
    for (auto end = now + by; now < end; now += 1s) watch.settle(table, now);
  }

  std::unique_ptr<PoisonTable> owned = std::make_unique<PoisonTable>();
  PoisonTable& table = *owned;
  PoisonWatch watch;
  Config config;
  Instant now{1000s};
};

}  // namespace

TEST_CASE("poison: a request that was running in poison_limit dead workers is refused, whatever its query") {
  Trial trial;
  for (int i = 0; i < 2; ++i) trial.dies({"GET /die"});
  CHECK_FALSE(trial.refuses("GET", "/die"));
  CHECK(trial.watch.deadline() == never);
  trial.dies({"GET /die"});
  CHECK(trial.refuses("GET", "/die"));
  CHECK(trial.refuses("GET", "/die?x=1"));
  CHECK_FALSE(trial.refuses("POST", "/die"));
  CHECK_FALSE(trial.refuses("GET", "/die/other"));
  CHECK_FALSE(trial.refuses("GET", "/di"));
  CHECK(trial.table.begun == 1);
  CHECK(trial.table.refused == 2);
}

TEST_CASE("poison: deaths that are further apart than the window do not count together") {
  Trial trial;
  for (int i = 0; i < 10; ++i) {
    trial.dies({"GET /die"});
    trial.later(31s);
  }
  CHECK_FALSE(trial.refuses("GET", "/die"));
}

TEST_CASE("poison: with the limit 0 nothing is refused") {
  Trial trial;
  trial.config.poison_limit = 0;
  for (int i = 0; i < 10; ++i) trial.dies({"GET /die"});
  CHECK_FALSE(trial.refuses("GET", "/die"));
}

TEST_CASE("poison: where several ran, only the one that was there each time is refused") {
  Trial trial;
  trial.dies({"GET /die", "GET /", "GET /a"});
  trial.dies({"GET /die", "GET /", "GET /b"});
  trial.dies({"GET /die", "GET /"});
  CHECK_FALSE(trial.refuses("GET", "/die"));  // either may be it
  CHECK_FALSE(trial.refuses("GET", "/"));
  trial.dies({"GET /die", "GET /c"});
  CHECK(trial.refuses("GET", "/die"));
  CHECK_FALSE(trial.refuses("GET", "/"));
}

TEST_CASE("poison: one request that ran on two threads is one suspect") {
  Trial trial;
  for (int i = 0; i < 2; ++i) trial.dies({"GET /die", "GET /die"});
  CHECK_FALSE(trial.refuses("GET", "/die"));
}

TEST_CASE("poison: what has been quiet for the window is let through") {
  Trial trial;
  for (int i = 0; i < 3; ++i) trial.dies({"GET /die"});
  CHECK(trial.refuses("GET", "/die"));
  trial.later(59s);
  CHECK(trial.table.used == 1);
  trial.later(3s);
  CHECK(trial.table.used == 0);
  CHECK_FALSE(trial.refuses("GET", "/die"));
  CHECK(trial.watch.deadline() == never);
}

TEST_CASE("poison: what comes all the time is let through once a window, and for good when no worker died of it") {
  Trial trial;
  for (int i = 0; i < 3; ++i) trial.dies({"GET /die"});
  const auto passed_within = [&](int seconds) {
    int passed = 0;
    for (int i = 0; i < seconds * 10; ++i) {
      passed += trial.refuses("GET", "/die") ? 0 : 1;
      if (i % 10 == 9) trial.later(1s);
    }
    return passed;
  };
  CHECK(passed_within(59) == 0);
  CHECK(passed_within(10) == 1);
  trial.dies({"GET /die"});  // it was still poison
  CHECK(passed_within(59) == 0);
  CHECK(passed_within(30) == 1);
  CHECK(passed_within(25) == 0);
  CHECK(passed_within(20) > 50);
  CHECK(trial.table.used == 0);
}

TEST_CASE("poison: new code is not suspected") {
  Trial trial;
  for (int i = 0; i < 3; ++i) trial.dies({"GET /die"});
  trial.watch.forget(trial.table);
  CHECK_FALSE(trial.refuses("GET", "/die"));
  for (int i = 0; i < 2; ++i) trial.dies({"GET /die"});
  CHECK_FALSE(trial.refuses("GET", "/die"));
}

TEST_CASE("poison: a full table refuses no more") {
  Trial trial;
  for (std::size_t number = 0; number <= PoisonTable::entries_max; ++number) {
    for (int i = 0; i < 3; ++i) trial.dies({"GET /" + std::to_string(number)});
  }
  CHECK(trial.refuses("GET", "/0"));
  CHECK_FALSE(trial.refuses("GET", "/" + std::to_string(PoisonTable::entries_max)));
  CHECK(trial.table.used == PoisonTable::entries_max);
}

TEST_CASE("poison: a request to a route with hosts is that route's alone") {
  Trial trial;
  const auto refuses = [&](const char* host) { return trial.table.refuses("GET", "/die?x", trial.now, host); };
  for (int i = 0; i < 3; ++i) trial.dies({PoisonTable::text_of("GET", "/die?y", "shop.example")});
  CHECK(refuses("shop.example"));
  CHECK_FALSE(refuses(""));
  CHECK_FALSE(refuses("blog.example"));
  CHECK_FALSE(refuses("hop.example"));
}

TEST_CASE("poison: a request whose path may have been cut has no text") {
  CHECK(PoisonTable::text_of("GET", "/a?b") == "GET /a");
  CHECK(PoisonTable::text_of("GET", "/" + std::string(198, 'a')) == "GET /" + std::string(198, 'a'));
  CHECK(PoisonTable::text_of("GET", "/" + std::string(199, 'a')).empty());
  CHECK(PoisonTable::text_of(std::string(22, 'X'), "/").empty());
  CHECK(PoisonTable::text_of("GET", "/" + std::string(197, 'a'), "h") == "GET h/" + std::string(197, 'a'));
  CHECK(PoisonTable::text_of("GET", "/" + std::string(198, 'a'), "h").empty());
}

TEST_CASE("poison: the scoreboard says what ran, or only what the thread at fault ran") {
  auto scoreboard = or_throw(Scoreboard::create());
  WorkerSlot& slot = scoreboard.slot(5);
  for (const std::uint32_t thread : {1u, 2u}) {
    slot.running[thread].thread_id.store(100 + thread);
    slot.running[thread].begin("GET", thread == 1 ? "/one?x" : "/two", 3, Instant{7s});
  }
  const auto texts = [&] {
    std::string all;
    for (const auto& suspect : scoreboard.suspects(5)) all += suspect.text + ";";
    return all;
  };
  CHECK(texts() == "GET /one;GET /two;");
  CHECK(scoreboard.suspects(5)[0].route == 3);
  CHECK(scoreboard.suspects(5)[0].started == Instant{7s});
  std::vector<Route> routes(4);
  routes[3].hosts = {"a.example", "b.example"};
  CHECK(scoreboard.suspects(5, routes)[1].text == "GET a.example/two");
  slot.crashed_thread.store(102);
  CHECK(texts() == "GET /two;");
  slot.crashed_thread.store(999);
  CHECK(texts().empty());
  CHECK(scoreboard.poison().used == 0);
  CHECK(Scoreboard::attach(narwhal::Fd(::dup(scoreboard.descriptor()))));
}
