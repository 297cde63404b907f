// A test of rate_limit.cpp: who is refused, how long, and that workers count together.
//   g++ -std=c++20 -o rate_limit_test rate_limit_test.cpp ../rate_limit.cpp -pthread -ldl && ./rate_limit_test
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <narwhal/testing.hpp>

#include <chrono>
#include <map>
#include <string>
#include <vector>

using narwhal::testing::Answer;
using narwhal::testing::Worker;

namespace {

// Numbers outlive a worker, so each test has buckets of its own. 0.01: one request more every 100 seconds.
std::map<std::string, std::string> options(const char* zone, std::map<std::string, std::string> others = {}) {
  others.insert({{"zone", zone}, {"per_second", "0.01"}, {"burst", "3"}});
  return others;
}

int status(Worker& worker, const std::string& client) { return worker.send({.client = client}).status; }
int served(Worker& worker, const std::string& client, int of) {
  int count = 0;
  for (int i = 0; i < of; ++i) count += status(worker, client) == 200 ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("rate_limit: a client gets its burst, then 429 and when to ask again") {
  Worker worker(narwhal_plugin_v1, {.options = options("burst")});
  const double before = Worker::metric("rate_limit_refused_total");
  CHECK(served(worker, "192.0.2.1", 3) == 3);
  const Answer refused = worker.send({.client = "192.0.2.1"});
  CHECK(refused.status == 429);
  const int seconds = std::stoi(refused.header("Retry-After"));
  CHECK(seconds > 90);
  CHECK(seconds <= 100);
  CHECK(Worker::metric("rate_limit_refused_total") == before + 1);
}

TEST_CASE("rate_limit: a request that was refused does not make the wait longer") {
  Worker worker(narwhal_plugin_v1, {.options = options("wait", {{"per_second", "20"}, {"burst", "1"}})});
  CHECK(status(worker, "192.0.2.1") == 200);
  CHECK(status(worker, "192.0.2.1") == 429);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  bool is_served = false;
  while (!is_served && std::chrono::steady_clock::now() < end) is_served = status(worker, "192.0.2.1") == 200;
  CHECK(is_served);
}

TEST_CASE("rate_limit: workers count together, and a new generation goes on") {
  Worker one(narwhal_plugin_v1, {.options = options("shared")}), two(narwhal_plugin_v1, {.options = options("shared")});
  CHECK(served(one, "192.0.2.1", 2) == 2);
  CHECK(served(two, "192.0.2.1", 2) == 1);
  Worker next(narwhal_plugin_v1, {.options = options("shared"), .generation = 2});
  CHECK(status(next, "192.0.2.1") == 429);
  Worker elsewhere(narwhal_plugin_v1, {.options = options("other zone")});
  CHECK(status(elsewhere, "192.0.2.1") == 200);
}

TEST_CASE("rate_limit: an innocent client is served beside one that does not stop") {
  Worker worker(narwhal_plugin_v1, {.options = options("innocent", {{"burst", "1"}})});
  CHECK(served(worker, "192.0.2.1", 50) == 1);
  // Nobody knows which buckets they get. That one of them shares both with the first is a chance of 1 in 10000.
  int innocent = 0;
  for (int i = 0; i < 20; ++i) innocent += status(worker, "198.51.100." + std::to_string(i)) == 200 ? 1 : 0;
  CHECK(innocent >= 16);
}

TEST_CASE("rate_limit: a bucket that another client fills gives nobody more than the rate") {
  // With two buckets, all clients share both. With four, some client shares one of the two with the first.
  Worker worker(narwhal_plugin_v1, {.options = options("rate", {{"burst", "2"}, {"buckets", "4"}})});
  CHECK(served(worker, "192.0.2.1", 1) == 1);
  for (int i = 0; i < 20; ++i) CHECK(served(worker, "198.51.100." + std::to_string(i), 10) <= 2);
  CHECK(served(worker, "192.0.2.1", 10) <= 1);
}

TEST_CASE("rate_limit: the whole network of an IPv6 address is one client, and an IPv4 address is one") {
  Worker worker(narwhal_plugin_v1, {.options = options("network", {{"burst", "1"}, {"buckets", "400"}})});
  CHECK(status(worker, "2001:db8:1:2::1") == 200);
  CHECK(status(worker, "2001:db8:1:2:ffff::9") == 429);
  CHECK(status(worker, "::ffff:192.0.2.7") == 200);
  CHECK(status(worker, "::ffff:192.0.2.7") == 429);
}

TEST_CASE("rate_limit: of many threads that ask for one client at once, few more are served") {
  Worker worker(narwhal_plugin_v1, {.options = options("threads", {{"burst", "100"}}), .threads = 4});
  std::vector<narwhal::testing::Client> clients;
  clients.reserve(300);
  for (int i = 0; i < 300; ++i) clients.push_back(worker.begin({}));
  int count = 0;
  for (auto& client : clients) count += client.answer().status == 200 ? 1 : 0;
  CHECK(count >= 100);
  CHECK(count <= 104);
}

TEST_CASE("rate_limit: options that cannot be are refused") {
  for (const char* key : {"per_second", "burst", "buckets"}) {
    CAPTURE(key);
    Worker worker(narwhal_plugin_v1, {.options = options("bad", {{key, "0"}})});
    CHECK(worker.boot_error().find("option '" + std::string(key) + "'") != std::string::npos);
  }
}
