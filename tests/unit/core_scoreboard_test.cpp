#include "core/scoreboard.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "core/child.hpp"

using namespace narwhal;
using namespace std::chrono_literals;

namespace {

constexpr Instant second(1s);

Scoreboard board() { return or_throw(Scoreboard::create()); }

long shared_kib() {
  std::ifstream file("/proc/self/smaps_rollup");
  for (std::string word; file >> word;) {
    long kib = 0;
    if (word == "Pss_Shmem:" && file >> kib) return kib;
  }
  return -1;
}

}  // namespace

TEST_CASE("scoreboard: a new slot is all zeros and has no text") {
  const Scoreboard scores = board();
  CHECK(scores.slot(0).pid == 0);
  CHECK(scores.slot(Scoreboard::slots_max - 1).state == WorkerState::empty);
  CHECK(scores.running_text(5, second) == "");
}

TEST_CASE("scoreboard: it uses memory only where it is touched, and clear() frees it") {
  Scoreboard scores = board();
  const long before = shared_kib();
  for (std::size_t i = 0; i < 20; ++i) scores.slot(i).running[200].begin("GET", "/", 0, second);
  const long used = shared_kib();
  for (std::size_t i = 0; i < 20; ++i) scores.clear(i);
  if (before >= 0) {  // the kernel reports it
    CHECK(used - before < 20 * 12);
    CHECK(shared_kib() <= before + 4);
  }
  CHECK(scores.running_text(3, second) == "");
}

TEST_CASE("scoreboard: what a child wrote is what the parent reads, also after the child's death") {
  Scoreboard scores = board();
  Child child = or_throw(fork_child([&scores] {
    WorkerSlot& slot = scores.slot(2);
    slot.pid = ::getpid();
    slot.state = WorkerState::serving;
    slot.running[0].begin("GET", "/slow?x=1", 0, Instant(10s));
    slot.running[3].begin("POST", "/x", 1, Instant(8s));
    slot.running[4].begin("PUT", "/done", 1, Instant(8s));
    slot.running[4].end();
    return 0;
  }));
  REQUIRE(::waitpid(child.pid(), nullptr, 0) == child.pid());
  CHECK(scores.slot(2).pid == child.pid());
  child.reaped();
  const std::array<Route, 2> routes{Route{"", "a.so", {}}, Route{"/shop", "b.so", {}}};
  const std::array<Route, 2> of_hosts{Route{"", "a.so", {}, "", {}, {}, {"a.example", "b.example"}}, routes[1]};
  CHECK(scores.running_text(2, Instant(41s), of_hosts) ==
        "POST /x (route /shop, 33.0 s); GET /slow?x=1 (route a.example/, 31.0 s)");
  CHECK(scores.running_text(2, Instant(41s + 200ms), routes) ==
        "POST /x (route /shop, 33.2 s); GET /slow?x=1 (route /, 31.2 s)");
  CHECK(scores.running_text(2, Instant(10s)) == "POST /x (route #1, 2.0 s); GET /slow?x=1 (route #0, 0.0 s)");
}

TEST_CASE("scoreboard: a long target is cut and shows that it was") {
  Scoreboard scores = board();
  scores.slot(0).running[0].begin(std::string(100, 'M'), "/" + std::string(500, 'x'), 0, second);
  CHECK(scores.running_text(0, second) ==
        std::string(22, 'M') + " /" + std::string(199, 'x') + "... (route #0, 0.0 s)");
}

TEST_CASE("scoreboard: control bytes are escaped") {
  Scoreboard scores = board();
  scores.slot(0).running[0].begin("GET", "/\x1b[2J\n", 0, second);
  CHECK(scores.running_text(0, second) == "GET /\\x1b[2J\\n (route #0, 0.0 s)");
}

TEST_CASE("scoreboard: invalid sizes, times and inconsistent records are shown bounded and are harmless") {
  Scoreboard scores = board();
  Running& record = scores.slot(Scoreboard::slots_max - 1).running[WorkerSlot::threads_max - 1];
  record.begin("GET", "/", 65535, Instant(99s));
  record.method_size = 65535;
  record.target_size = 65535;
  record.sequence = 7;  // died while writing
  const std::string text = scores.running_text(Scoreboard::slots_max - 1, second);
  CHECK(text.size() < 1000);
  CHECK(text.starts_with("GET\\x00"));
  CHECK(text.ends_with("... (route #65535, 0.0 s)"));
  record.started = Instant::min();
  CHECK(scores.running_text(Scoreboard::slots_max - 1, second) == "");
}

TEST_CASE("scoreboard: of many requests the oldest are shown and the rest counted") {
  Scoreboard scores = board();
  for (int i = 0; i < 30; ++i) {
    scores.slot(1).running[i].begin("GET", "/" + std::to_string(i), 0, Instant(std::chrono::nanoseconds(i + 1)));
  }
  const std::string text = scores.running_text(1, second);
  CHECK(text.starts_with("GET /0 ("));
  CHECK(text.find("GET /7 (") != std::string::npos);
  CHECK(text.find("GET /8 (") == std::string::npos);
  CHECK(text.ends_with("; and 22 more"));
}

TEST_CASE("scoreboard: deferred requests come after those of handlers, and those without a record are counted") {
  Scoreboard scores = board();
  WorkerSlot& slot = scores.slot(1);
  slot.deferred[1].begin("GET", "/events", 0, Instant(1s));
  slot.deferred[0].begin("GET", "/later", 0, Instant(3s));
  slot.deferred[2].begin("GET", "/over", 0, Instant(1s));
  slot.deferred[2].end();
  slot.deferred_count = 2;
  slot.running[5].begin("POST", "/x", 0, Instant(5s));
  const std::string named =
      "POST /x (route #0, 5.0 s); GET /events (route #0, deferred, 9.0 s); GET /later (route #0, deferred, 7.0 s)";
  CHECK(scores.running_text(1, Instant(10s)) == named);
  CHECK(scores.running(1).size() == 1);
  CHECK(scores.suspects(1).size() == 1);
  slot.deferred_count = 70;
  CHECK(scores.running_text(1, Instant(10s)) == named + "; and 68 more");
  scores.clear(1);
  CHECK(scores.running_text(1, Instant(10s)) == "");
}

TEST_CASE("scoreboard: a thread may be used again and again") {
  Scoreboard scores = board();
  Running& record = scores.slot(0).running[0];
  for (int i = 0; i < 3; ++i) {
    record.begin("GET", "/long/target/" + std::to_string(i), 0, second);
    CHECK(record.sequence % 2 == 0);
    record.end();
    CHECK(scores.running_text(0, second) == "");
  }
  record.begin("PUT", "/s", 0, second);
  CHECK(scores.running_text(0, second) == "PUT /s (route #0, 0.0 s)");
}
