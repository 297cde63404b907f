// One generation after another: reloads that succeed, reloads that fail, rollbacks.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/supervised.hpp"

using narwhal::toy::eventually;
using narwhal::toy::Supervised;

namespace {

// True if only generation `number` is left, with `workers` workers.
bool settles(const Supervised& server, const std::string& number, std::size_t workers) {
  server.wait_for("Generation " + number + " is ready");
  return eventually([&] { return server.children().size() == workers + 1 && server.get("/generation") == number; });
}

struct Footprint {
  std::size_t descriptors, threads, mappings;
  bool operator==(const Footprint&) const = default;
};

std::string text_of(const Footprint& footprint) {
  return std::to_string(footprint.descriptors) + " descriptors, " + std::to_string(footprint.threads) + " threads, " +
         std::to_string(footprint.mappings) + " mappings";
}

Footprint footprint(const Supervised& server) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  const std::size_t mappings = 0;  // the sanitizer's own mappings change
#else
  const std::size_t mappings = server.count("maps");
#endif
  return {server.count("fd"), server.count("task"), mappings};
}

// The iteration stops at a folder that is removed meanwhile.
std::size_t staged_plugins(const Supervised& server) {
  std::error_code error;
  std::size_t count = 0;
  std::filesystem::recursive_directory_iterator at(server.path("stage"), error), end;
  for (; !error && at != end; at.increment(error)) count += at->path().extension() == ".so" ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("succession: HUP applies new settings and new code, and the old generation leaves") {
  Supervised server("workers 2\nanswer one");
  server.wait_for("Generation 1 is ready");
  CHECK(server.get() == "one");
  server.configure("workers 3\nanswer two");
  server.write_app("second");
  CHECK(server.get("/code") == "first");
  server.send(SIGHUP);
  CHECK(settles(server, "2", 3));
  CHECK(server.get() == "two");
  CHECK(server.get("/code") == "second");
  CHECK(server.logged("Hang up: Master") == 1);
  CHECK(server.logged("Generation 2 is ready (3 workers, ") == 1);
  CHECK(server.logged("): retiring generation 1") == 1);
  CHECK(server.logged("[ERROR]") == 0);
}

TEST_CASE("succession: a replaced worker runs the code of its generation, whatever is on the disk") {
  Supervised server("workers 1");
  server.wait_for("Generation 1 is ready");
  server.write_app("second");
  REQUIRE(::kill(std::stoi(server.get("/pid")), SIGKILL) == 0);
  server.wait_for("Booting worker", 2);
  CHECK(server.get("/code") == "first");
}

TEST_CASE("succession: whatever fails, the old generation continues to serve, and one line says why") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"load fail", "'load': load the toy: wrong colour"},
      {"load crash", "was sent SIGSEGV"},
      {"load exit", "exited with code 5, its last step: load the toy"},
      {"load hang", "'load': not loaded after 1 s (boot_timeout), its last step: load the toy"},
      {"boot fail", "'boot': boot the toy: it does not feel like it"},
      {"boot crash", "was sent SIGSEGV"},
      {"boot exit", "exited with code 9, its last step: init of the toy"},
      {"boot hang", "'boot': not ready after 1 s (boot_timeout), its last step: init of the toy"},
      {"boot mute", "'boot': worker ended before its first report"},
      {"app /nowhere/app.so", "'stage': /nowhere/app.so: "},
      {"app /etc/passwd", "'stage': /etc/passwd: "},
      {"unix /proc/none.sock", "'bind': bind unix:/proc/none.sock"},
      {"nonsense", "'config': "},
  };
  Supervised server("workers 2\nanswer one");
  server.wait_for("Generation 1 is ready");
  REQUIRE(eventually([&] { return server.children().size() == 3; }));
  const auto children = server.children();
  const Footprint before = footprint(server);
  std::size_t errors = 0;
  for (const auto& [line, reason] : cases) {
    CAPTURE(line);
    server.configure("workers 2\nboot_timeout 1\n" + line);
    server.send(SIGHUP);
    server.wait_for("Reload failed at step '", ++errors);
    CHECK(server.logged(reason) >= 1);
    CHECK(server.logged("; generation 1 continues to serve") == errors);
    CHECK(server.logged("[ERROR]") == errors);
    CHECK(server.get() == "one");
    CHECK(eventually([&] { return server.children() == children; }));
  }
  eventually([&] { return footprint(server) == before; });
  CHECK(text_of(footprint(server)) == text_of(before));
  server.configure("workers 1\nanswer two");
  server.send(SIGHUP);
  CHECK(eventually([&] { return server.get() == "two" && server.children().size() == 2; }));
}

TEST_CASE("succession: no new worker accepts before the last one is ready") {
  Supervised server("workers 2\nanswer one");
  server.wait_for("Generation 1 is ready");
  server.configure("workers 3\nanswer two\nboot hang\nboot_timeout 2");
  server.send(SIGHUP);
  server.wait_for("Booting worker", 5);
  for (int i = 0; i < 20; ++i) CHECK(server.get() == "one");
}

TEST_CASE("succession: 20 reloads leave nothing behind in the master") {
  Supervised server("workers 2\nanswer one\nprobation 0");
  server.wait_for("Generation 1 is ready");
  const auto reload = [&](int number) {
    server.write_app("code " + std::to_string(number));
    server.send(SIGHUP);
    REQUIRE(settles(server, std::to_string(number), 2));
    CHECK(server.get("/code") == "code " + std::to_string(number));
  };
  for (int number = 2; number <= 4; ++number) reload(number);
  // The last worker's socket is closed a moment after its process is gone: wait for five equal readings.
  Footprint before = footprint(server);
  for (int alike = 0; alike < 5; std::this_thread::sleep_for(std::chrono::milliseconds(20))) {
    const Footprint now = footprint(server);
    alike = now == before ? alike + 1 : 0;
    before = now;
  }
  for (int number = 5; number <= 24; ++number) reload(number);
  eventually([&] { return footprint(server) == before; });
  CHECK(text_of(footprint(server)) == text_of(before));
  CHECK(server.logged("[ERROR]") == 0);
  // The files of a generation are removed after its last process.
  // A rollback would need those of the generation before it.
  CHECK(eventually([&] { return staged_plugins(server) == 2; }));
}

TEST_CASE("succession: reloads that arrive while one runs are one reload, with the last settings") {
  Supervised server("workers 1\nanswer one");
  server.wait_for("Generation 1 is ready");
  for (int i = 0; i < 20; ++i) {
    server.configure("workers 1\nanswer number-" + std::to_string(i));
    server.send(SIGHUP);
  }
  CHECK(eventually([&] { return server.get() == "number-19" && server.children().size() == 2; }));
  CHECK(server.logged("Hang up: Master") < 20);
  CHECK(server.logged("[ERROR]") == 0);
}

TEST_CASE("succession: TERM in the middle of a reload ends both generations") {
  for (const std::string where : {"load", "boot"}) {
    Supervised server("workers 2");
    server.wait_for("Generation 1 is ready");
    server.configure("workers 2\n" + where + " hang");
    server.send(SIGHUP);
    server.wait_for("Hang up: Master");
    if (where == "boot") server.wait_for("Booting worker", 4);
    server.send(SIGTERM);
    CHECK(server.exit_code() == 0);
    CHECK(server.logged("[ERROR]") == 0);
  }
}

TEST_CASE("succession: a generation that crash-loops on probation is rolled back once") {
  Supervised server("workers 2\nanswer one");
  server.wait_for("Generation 1 is ready");
  server.write_app("second");
  server.configure("workers 2\nanswer two\nserve crash");
  server.send(SIGHUP);
  server.wait_for(" workers died early): rolling back to generation 1");
  server.wait_for("Generation 3 is ready (2 workers, ");
  CHECK(server.logged("a copy of generation 1: retiring generation 2") == 1);
  CHECK(eventually([&] { return server.children().size() == 3; }));
  CHECK(server.get() == "one");
  CHECK(server.get("/code") == "first");
  // The restored generation is not on probation, so there is no second rollback.
  for (int i = 0; i < 4; ++i) {
    server.get("/crash");
    server.wait_for("was running: GET /crash", static_cast<std::size_t>(i) + 1);
    CHECK(eventually([&] { return server.get() == "one"; }));
  }
  CHECK(server.logged("rolling back") == 1);
}

TEST_CASE("succession: a generation whose workers crash again and again while they serve is rolled back too") {
  Supervised server("workers 1\nanswer one");
  server.wait_for("Generation 1 is ready");
  server.configure("workers 1\nanswer two");
  server.send(SIGHUP);
  REQUIRE(settles(server, "2", 1));
  for (std::size_t crashes = 1; crashes <= 3; ++crashes) {
    REQUIRE(eventually([&] { return server.get() == "two"; }));
    server.get("/crash");
    server.wait_for("was running: GET /crash", crashes);
  }
  server.wait_for("rolling back to generation 1");
  CHECK(eventually([&] { return server.get() == "one"; }));
  CHECK(server.logged("a worker died early") == 0);
}

TEST_CASE("succession: workers that are killed soon after a reload are not a crash loop") {
  Supervised server("workers 4\nanswer one");
  server.wait_for("Generation 1 is ready");
  server.configure("workers 4\nanswer two");
  server.send(SIGHUP);
  REQUIRE(settles(server, "2", 4));
  server.wait_for("exited with code 0", 4);  // else a worker of before may be the first child
  REQUIRE(eventually([&] { return server.children().size() == 5; }));
  const auto children = server.children();
  for (std::size_t i = 1; i < children.size(); ++i) REQUIRE(::kill(children[i], SIGKILL) == 0);  // [0]: the template
  server.wait_for("was sent SIGKILL! Perhaps out of memory?", 4);
  server.wait_for("Booting worker", 12);
  CHECK(server.get() == "two");
  CHECK(server.logged("rolling back") == 0);
}

TEST_CASE("succession: a crash loop without a predecessor only causes back-off") {
  Supervised server("workers 2\nserve crash");
  server.wait_for("a worker died early (4 in a row)");
  CHECK(server.logged("rolling back") == 0);
}

TEST_CASE("succession: HUP takes the configured number of workers again") {
  Supervised server("workers 1");
  server.wait_for("Generation 1 is ready");
  server.send(SIGTTIN);
  CHECK(eventually([&] { return server.children().size() == 3; }));
  server.send(SIGHUP);
  CHECK(settles(server, "2", 1));
  CHECK(server.logged("Number of workers: back to 1, as configured") == 1);
}

TEST_CASE("succession: TTIN during a reload also counts for the generation that takes over") {
  Supervised server("workers 1");
  server.wait_for("Generation 1 is ready");
  server.configure("workers 1\nboot waits");
  server.send(SIGHUP);
  server.wait_for("Hang up: Master");
  server.send(SIGTTIN);
  server.wait_for("Handling signal: ttin");
  std::ofstream(server.path("go")).put('\n');
  CHECK(settles(server, "2", 2));
  server.send(SIGTTOU);
  CHECK(settles(server, "2", 1));
}

TEST_CASE("succession: a reload adds and removes addresses, and removes the file of a dropped Unix socket") {
  Supervised server("workers 1\nanswer one");
  REQUIRE(settles(server, "1", 1));
  const std::size_t before = server.count("fd");
  const std::string socket = server.path("extra.sock");
  server.configure("workers 1\nanswer two\nunix " + socket);
  server.send(SIGHUP);
  REQUIRE(settles(server, "2", 1));
  CHECK(std::filesystem::exists(socket));
  CHECK(server.logged("unix:" + socket) >= 1);
  CHECK(eventually([&] { return server.count("fd") == before + 1; }));
  server.configure("workers 1\nanswer three");
  server.send(SIGHUP);
  REQUIRE(settles(server, "3", 1));
  CHECK_FALSE(std::filesystem::exists(socket));
  CHECK(eventually([&] { return server.count("fd") == before; }));
  CHECK(server.get() == "three");
}

TEST_CASE("succession: an old generation that does not leave is killed after graceful_timeout") {
  Supervised server("workers 1\ndrain never\ngraceful_timeout 1\nanswer one");
  server.wait_for("Generation 1 is ready");
  const std::string old = server.get("/pid");
  server.configure("workers 1\nanswer two");
  server.send(SIGHUP);
  server.wait_for("Worker (pid:" + old + ") was sent SIGKILL by the master.");
  CHECK(settles(server, "2", 1));
}

TEST_CASE("succession: the number of draining generations is limited; the next reload waits and then runs") {
  Supervised server("workers 1\ndrain never\ngraceful_timeout 3\nprobation 0");
  server.wait_for("Generation 1 is ready");
  for (std::size_t number = 2; number <= 9; ++number) {
    server.send(SIGHUP);
    server.wait_for("Generation " + std::to_string(number) + " is ready");
  }
  server.send(SIGHUP);
  server.wait_for("Reload is waiting: 8 generations are still draining");
  server.wait_for("Generation 10 is ready");
}

TEST_CASE("succession: the pid file exists as long as the master, and follows the settings") {
  Supervised server("workers 1");
  server.wait_for("Generation 1 is ready");
  const std::string pidfile = server.path("pid");
  server.configure("workers 1\npidfile " + pidfile);
  server.send(SIGHUP);
  server.wait_for("retiring generation 1");
  CHECK(eventually([&] { return narwhal::read_all(pidfile) == std::to_string(server.pid()) + "\n"; }));
  server.send(SIGTERM);
  CHECK(server.exit_code() == 0);
  CHECK_FALSE(std::filesystem::exists(pidfile));
}
