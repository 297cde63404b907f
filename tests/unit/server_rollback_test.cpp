// Rollbacks that an operator asks for. The server here is a Succession with a small loop of its own, in which USR2 asks.
#include <poll.h>
#include <sys/prctl.h>

#include <filesystem>

#include "core/signals.hpp"
#include "server/succession.hpp"
#include "tests/support/supervised.hpp"

using narwhal::Config;
using narwhal::toy::eventually;
using narwhal::toy::Supervised;
namespace server = narwhal::server;
namespace logs = narwhal::log;

namespace {

struct Watcher : server::Succession::Observer {
  void bound(const server::Plan& plan) override { logs::info("Listening at: {}", plan.listeners.at(0)->address); }
  void reloading(narwhal::Transaction::Kind, narwhal::Instant) override { logs::info("observer: reloading"); }
  void reload_failed(const std::string& why) override { logs::info("observer: failed: {}", why); }
  void took_over(const server::Plan& plan, const Config*) override {
    logs::info("observer: generation {} took over", plan.number());
  }
};

class SmallServer {
 public:
  explicit SmallServer(const Supervised& test)
      : site_{narwhal::or_throw(narwhal::Scoreboard::create()),
              narwhal::or_throw(server::StageArea::create(test.read()->stage_dir)), narwhal::toy::run_template},
        signals_(narwhal::or_throw(narwhal::SignalPipe::open({SIGTERM, SIGHUP, SIGUSR2, SIGCHLD}))),
        succession_(site_, {{}, [&test](const auto&) { return test.read(); }}, watcher_) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    narwhal::or_throw(logs::open(test.read()->errorlog, narwhal::LogLevel::debug));
    server::InheritedSockets none;
    succession_.begin(*test.read(), {}, none);
  }
  int run() {
    while (!succession_.gone()) turn();
    return 0;
  }

 private:
  void turn() {
    std::vector<pollfd> watched{{signals_.descriptor(), POLLIN, 0}};
    for (const auto* generation : succession_.all()) generation->add_sockets(watched);
    ::poll(watched.data(), watched.size(), 20);
    std::vector<int> readable;
    for (const pollfd& one : watched) {
      if (one.revents != 0) readable.push_back(one.fd);
    }
    std::sort(readable.begin(), readable.end());
    const narwhal::Instant now = narwhal::now();
    for (auto* generation : succession_.all()) generation->read_reports(readable, now);
    for (const int signo : signals_.arrived()) on_signal(signo, now);
    succession_.settle(now);
  }
  void on_signal(int signo, narwhal::Instant now) {
    if (signo == SIGHUP) succession_.request_reload();
    if (signo == SIGTERM) succession_.retire_all(now);
    if (signo == SIGUSR2) {
      if (const auto accepted = succession_.request_rollback(); !accepted) logs::info("asker: {}", accepted.error());
    }
    if (signo != SIGCHLD) return;
    while (const auto ended = narwhal::reap_any()) {
      for (auto* generation : succession_.all()) generation->reaped(ended->pid, ended->status, now);
    }
  }

  server::Site site_;
  narwhal::SignalPipe signals_;
  Watcher watcher_;
  server::Succession succession_;
};

int supervise(const Supervised& test) { return SmallServer(test).run(); }

bool settles(const Supervised& server, const std::string& number, std::size_t workers) {
  server.wait_for("Generation " + number + " is ready");
  return eventually([&] { return server.children().size() == workers + 1 && server.get("/generation") == number; });
}

}  // namespace

TEST_CASE("rollback: restores the previous settings and code, and a second one goes forward again") {
  Supervised server("workers 1\nanswer one\nprobation 0", supervise);
  REQUIRE(settles(server, "1", 1));
  server.write_app("second");
  server.configure("workers 2\nanswer two\nprobation 0");
  server.send(SIGHUP);
  REQUIRE(settles(server, "2", 2));
  // The files and settings of now do not matter.
  server.write_app("third");
  server.configure("nonsense");
  server.send(SIGUSR2);
  REQUIRE(settles(server, "3", 1));
  CHECK(server.get() == "one");
  CHECK(server.get("/code") == "first");
  CHECK(server.logged("[WARNING] Rollback requested: from generation 2 back to generation 1") == 1);
  CHECK(server.logged(", a copy of generation 1: retiring generation 2") == 1);
  server.send(SIGUSR2);
  REQUIRE(settles(server, "4", 2));
  CHECK(server.get() == "two");
  CHECK(server.get("/code") == "second");
  CHECK(server.logged(", a copy of generation 2: retiring generation 3") == 1);
  CHECK(server.logged("observer: generation 4 took over") == 1);
  CHECK(server.logged("[ERROR]") == 0);
}

TEST_CASE("rollback: after a reload that failed, it goes to the generation before the one that serves") {
  Supervised server("workers 1\nanswer one", supervise);
  REQUIRE(settles(server, "1", 1));
  server.configure("workers 1\nanswer two");
  server.send(SIGHUP);
  REQUIRE(settles(server, "2", 1));
  server.configure("workers 1\nload fail");
  server.send(SIGHUP);
  server.wait_for("Reload failed at step 'load'");
  server.send(SIGUSR2);
  REQUIRE(settles(server, "4", 1));
  CHECK(server.get() == "one");
}

TEST_CASE("rollback: is refused with one warning where it is impossible") {
  Supervised server("workers 1\nanswer one", supervise);
  REQUIRE(settles(server, "1", 1));
  server.send(SIGUSR2);
  server.wait_for("asker: rollback refused: there is no previous generation: no reload has succeeded since the start");
  CHECK(server.logged("[WARNING] Rollback refused: there is no previous generation") == 1);
  server.configure("workers 1\nanswer two\nboot waits");
  server.send(SIGHUP);
  server.wait_for("observer: reloading");
  server.send(SIGUSR2);
  server.wait_for(
      "[WARNING] Rollback refused: a reload or rollback is running or waiting; ask again when it has ended");
  std::ofstream(server.path("go")).put('\n');
  REQUIRE(settles(server, "2", 1));
  CHECK(server.get() == "two");
  CHECK(server.logged("Rollback re") == 2);
}

TEST_CASE("rollback: one that fails leaves the serving generation, and may be asked for again") {
  Supervised server("workers 1\nanswer one\nboot_timeout 1\nboot waits", supervise);
  std::ofstream(server.path("go")).put('\n');
  REQUIRE(settles(server, "1", 1));
  server.configure("workers 1\nanswer two");
  server.send(SIGHUP);
  REQUIRE(settles(server, "2", 1));
  std::filesystem::remove(server.path("go"));
  server.send(SIGUSR2);
  server.wait_for("Rollback failed at step 'boot': ");
  CHECK(server.get() == "two");
  std::ofstream(server.path("go")).put('\n');
  server.send(SIGUSR2);
  REQUIRE(settles(server, "4", 1));
  CHECK(server.get() == "one");
}

TEST_CASE("rollback: back to the generation that a crash loop had ended, if the operator asks") {
  Supervised server("workers 2\nanswer one", supervise);
  REQUIRE(settles(server, "1", 2));
  server.configure("workers 1\nanswer two\nserve crash");
  server.send(SIGHUP);
  server.wait_for("rolling back to generation 1");
  REQUIRE(settles(server, "3", 2));
  server.send(SIGUSR2);
  server.wait_for("a copy of generation 2: retiring generation 3");
  // Not on probation: the server does not decide against the operator.
  server.wait_for("a worker died early (3 in a row)");
  CHECK(server.logged("rolling back") == 1);
}

TEST_CASE("rollback: during a canary it ends the canary") {
  Supervised server("workers 2\nanswer one", supervise);
  REQUIRE(settles(server, "1", 2));
  server.configure("workers 2\nanswer two\ncanary 1\ncanary_time 100");
  server.send(SIGHUP);
  server.wait_for("canary: 1 of 2 workers run generation 2");
  server.send(SIGUSR2);
  server.wait_for("Reload failed at step 'canary': a rollback was requested; generation 1 continues to serve");
  CHECK(eventually([&] { return server.children().size() == 3; }));
  CHECK(server.get() == "one");
}
