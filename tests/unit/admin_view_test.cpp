// Views of a server: readiness, and the metrics and the JSON that are made of them.
#include <doctest/doctest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>

#include "admin/metrics.hpp"
#include "admin/status.hpp"
#include "admin/view.hpp"

using namespace narwhal;
using namespace narwhal::admin;
using namespace std::chrono_literals;

namespace {

// A server with two workers of one thread each.
class FakeServer {
 public:
  Board board = or_throw(Board::create());
  Scoreboard scoreboard = or_throw(Scoreboard::create());
  ServerState state;

  FakeServer() {
    state.title = "shop \"1\"";
    state.serving = 2;
    state.generations.push_back({2, "serving", 2, 1, 30s, now() - 60s, 9, {{"", "shop.so", {}}}, {}});
    for (std::uint32_t slot = 0; slot < 2; ++slot) {
      state.generations[0].workers.push_back({slot, ::getpid(), "serving", true, now() - 50s});
      scoreboard.slot(slot).pid = ::getpid();
      beat(slot, 0s);
    }
  }
  void beat(std::size_t slot, std::chrono::seconds ago) { scoreboard.slot(slot).heartbeat = now() - ago; }
  void run(std::size_t slot, std::string_view target, std::chrono::seconds ago) {
    scoreboard.slot(slot).running[0].begin("GET", target, 0, now() - ago);
  }
  View view() {
    board.publish(bytes_of(state));
    board.beat(now());
    const auto seen = look(board, scoreboard);
    REQUIRE(seen);
    return *seen;
  }
};

bool has(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("view: without a publication there is none") {
  const Board board = or_throw(Board::create());
  const Scoreboard scoreboard = or_throw(Scoreboard::create());
  CHECK_FALSE(look(board, scoreboard));
}

TEST_CASE("view: ready while one worker is well, and the reason when none is") {
  FakeServer server;
  CHECK(server.view().not_ready() == "");
  server.run(0, "/slow", 20s);
  CHECK(server.view().workers[0].condition == Condition::stuck);
  CHECK(server.view().not_ready() == "");
  server.beat(1, 5s);
  CHECK(server.view().workers[1].condition == Condition::silent);
  CHECK(server.view().not_ready() == "every worker is stuck (1 of 2) or silent (1)");
  server.beat(1, 0s);
  server.run(1, "/slow", 6s);
  CHECK(server.view().not_ready() == "every worker is stuck (2 of 2)");
  server.scoreboard.slot(1).running[0].end();
  CHECK(server.view().not_ready() == "");
  server.state.stopping = true;
  CHECK(server.view().not_ready() == "the server is stopping");
  server.state.stopping = false;
  for (auto& worker : server.state.generations[0].workers) worker.life = "booting";
  CHECK(server.view().not_ready() == "no worker is serving");
  server.state.serving = 0;
  CHECK(server.view().not_ready() == "the first generation is starting");
}

TEST_CASE("view: a request is old after half of `timeout`, between one second and five") {
  CHECK(stuck_after(30s) == 5s);
  CHECK(stuck_after(4s) == 2s);
  CHECK(stuck_after(1s) == 1s);
  CHECK(stuck_after(0s) == 5s);
}

TEST_CASE("view: alive while the master's loop turns") {
  FakeServer server;
  CHECK(server.view().not_alive() == "");
  server.state.pid = 77;
  server.board.publish(bytes_of(server.state));
  server.board.beat(now() - 12s);
  const auto view = look(server.board, server.scoreboard);
  REQUIRE(view);
  CHECK(view->not_alive() == "the master (pid:77) has been silent for 12 s");
}

TEST_CASE("view: a slot that another process has now counts for nothing") {
  FakeServer server;
  server.scoreboard.slot(0).connections = 4;
  server.scoreboard.slot(1).connections = 5;
  server.scoreboard.slot(1).pid = 1;
  CHECK(server.view().connections() == 4);
}

TEST_CASE("metrics: counters of live and past workers together, histograms that add up") {
  FakeServer server;
  RouteCounters& counters = server.scoreboard.slot(0).routes[0];
  counters.status_class[2] = 3;
  counters.latency[5] = 1;   // under 32 microseconds
  counters.latency[10] = 2;  // under 1024
  counters.microseconds = 1500;
  server.state.past.routes.push_back({"/", "shop.so", {0, 0, 4, 0, 0, 1}, {}, 500'000});
  server.state.past.routes[0].latency[31] = 5;
  server.state.reloads = {{"refused", 1}, {"swapped", 2}};
  server.state.listeners = {{"http://127.0.0.1:8000", 7}, {"unix:/x", -1}};
  const std::string text = metrics_text(server.view());
  CHECK(has(text, R"(narwhal_info{version="",title="shop \"1\""} 1)"));
  CHECK(has(text, R"(narwhal_requests_total{route="/",app="shop.so",status="2xx"} 7)"));
  CHECK(has(text, R"(narwhal_requests_total{route="/",app="shop.so",status="5xx"} 1)"));
  CHECK(has(text, R"(narwhal_request_duration_seconds_bucket{route="/",app="shop.so",le="6.4e-05"} 1)"));
  CHECK(has(text, R"(narwhal_request_duration_seconds_bucket{route="/",app="shop.so",le="0.001024"} 3)"));
  CHECK(has(text, R"(narwhal_request_duration_seconds_bucket{route="/",app="shop.so",le="67.108864"} 3)"));
  CHECK(has(text, R"(narwhal_request_duration_seconds_bucket{route="/",app="shop.so",le="+Inf"} 8)"));
  CHECK(has(text, R"(narwhal_request_duration_seconds_count{route="/",app="shop.so"} 8)"));
  CHECK(has(text, R"(narwhal_request_duration_seconds_sum{route="/",app="shop.so"} 0.5015)"));
  CHECK(has(text, R"(narwhal_accept_queue_length{listener="http://127.0.0.1:8000"} 7)"));
  CHECK(text.find("unix:/x") == std::string::npos);
  CHECK(has(text, "narwhal_ready 1"));
  CHECK(has(text, R"(narwhal_handlers{state="idle"} 2)"));
}

TEST_CASE("status: what runs is shown by method, target and route, whatever bytes the client sent") {
  FakeServer server;
  server.run(1, "/caf\xe9?\x01", 3s);
  server.scoreboard.slot(1).waiting = 2;
  server.scoreboard.slot(1).oldest_waiting = now() - 2s;
  const auto status = nlohmann::json::parse(status_json(server.view()));
  const auto& worker = status["generations"][0]["workers"][1];
  CHECK(worker["running"][0]["method"] == "GET");
  CHECK(worker["running"][0]["target"] == "/caf\xef\xbf\xbd?\x01");
  CHECK(worker["running"][0]["route"] == "/");
  CHECK(worker["running"][0]["seconds"] > 2.9);
  CHECK(worker["resident_bytes"] > 100'000);
  CHECK(status["queue"]["length"] == 2);
  CHECK(status["queue"]["oldest_seconds"] > 1.9);
  CHECK(status["handlers"]["busy"] == 1);
  CHECK(status["ready"] == true);
}
