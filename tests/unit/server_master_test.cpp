// The master with toy workers: start, life and stop. Reloads are in server_succession_test.cpp.
#include "tests/support/supervised.hpp"

using narwhal::toy::eventually;
using narwhal::toy::Supervised;

TEST_CASE("master: it logs what it does in Gunicorn's words, serves, and stops on TERM") {
  Supervised server("workers 2\nanswer hello");
  server.wait_for("Generation 1 is ready (2 workers");
  CHECK(server.get() == "hello");
  CHECK(server.logged("Starting narwhal 0.1.0") == 1);
  CHECK(server.logged("Booting worker with pid: ") == 2);
  server.send(SIGTERM);
  CHECK(server.exit_code() == 0);
  CHECK(server.logged("Handling signal: term") == 1);
  CHECK(server.logged("Shutting down: Master") == 1);
  CHECK(server.logged("[ERROR]") == 0);
}

TEST_CASE("master: INT to the whole group, as a terminal sends it, ends everything cleanly") {
  Supervised server("workers 2");
  server.wait_for("Generation 1 is ready");
  REQUIRE(eventually([&] { return server.children().size() == 3; }));
  const auto children = server.children();
  REQUIRE(::kill(-server.pid(), SIGINT) == 0);
  CHECK(server.exit_code() == 0);
  for (const pid_t child : children) CHECK(::kill(child, 0) != 0);
  CHECK(server.logged("[ERROR]") == 0);
}

TEST_CASE("master: at the first boot, an app that does not load ends the server with 4") {
  for (const std::string load : {"fail", "crash", "exit"}) {
    CAPTURE(load);
    Supervised server("workers 2\nload " + load);
    CHECK(server.exit_code() == 4);
    CHECK(server.logged("[ERROR] Reason: App failed to load.") == 1);
    CHECK(server.logged("Shutting down: Master") == 1);
    CHECK(server.logged(load == "fail" ? "[ERROR] load the toy: wrong colour" : "its last step: load the toy") == 1);
    CHECK(server.logged("Booting worker") == 0);
  }
}

TEST_CASE("master: at the first boot, a worker that does not boot ends the server with 3, and says why") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"fail", "[ERROR] boot the toy: it does not feel like it"},
      {"crash", "was sent SIGSEGV, its last step: init of the toy"},
      {"exit", "exited with code 9, its last step: init of the toy"},
      {"mute", "worker ended before its first report"},
      {"fail-app", "[ERROR] boot the toy: no such app"}};
  for (const auto& [boot, reason] : cases) {
    CAPTURE(boot);
    Supervised server("workers 3\nboot " + boot);
    CHECK(server.exit_code() == (boot == "fail-app" ? 4 : 3));
    CHECK(server.logged(reason) == 1);
    CHECK(server.logged(boot == "fail-app" ? "Reason: App failed to load." : "Reason: Worker failed to boot.") == 1);
  }
}

TEST_CASE("master: a process that hangs at boot is killed after boot_timeout, with its last step in the log") {
  Supervised loads("workers 1\nload hang\nboot_timeout 1");
  CHECK(loads.exit_code() == 4);
  CHECK(loads.logged("not loaded after 1 s (boot_timeout), its last step: load the toy") == 1);
  Supervised boots("workers 2\nboot hang\nboot_timeout 1");
  CHECK(boots.exit_code() == 3);
  CHECK(boots.logged("not ready after 1 s (boot_timeout), its last step: init of the toy") == 1);
}

TEST_CASE("master: TERM and INT are served while the template hangs and while workers hang at boot") {
  for (const std::string where : {"load", "boot"}) {
    for (const int signo : {SIGTERM, SIGINT}) {
      CAPTURE(where);
      Supervised server("workers 2\n" + where + " hang");
      server.wait_for(where == "load" ? "Using worker" : "Booting worker");
      server.send(signo);
      CHECK(server.exit_code() == 0);
      CHECK(server.logged("Reason:") == 0);
    }
  }
}

TEST_CASE("master: a killed worker is replaced, and the log says what it was running") {
  Supervised server("workers 2\nanswer hello");
  server.wait_for("Generation 1 is ready");
  CHECK(server.get("/crash") == "");
  server.wait_for("[app] was running: GET /crash (route /, ");
  server.wait_for("Booting worker with pid: ", 3);
  CHECK(eventually([&] { return server.children().size() == 3; }));
  CHECK(server.logged("was sent SIGSEGV") == 1);
  const pid_t victim = std::stoi(server.get("/pid"));
  REQUIRE(::kill(victim, SIGKILL) == 0);
  server.wait_for("Worker (pid:" + std::to_string(victim) + ") was sent SIGKILL! Perhaps out of memory?");
  server.wait_for("Booting worker with pid: ", 4);
  CHECK(server.get() == "hello");
}

TEST_CASE("master: a worker that exits without having been asked to is replaced, and the log says so") {
  Supervised server("workers 1\nanswer hello");
  server.wait_for("Generation 1 is ready");
  server.get("/exit");
  server.wait_for("Booting worker with pid: ", 2);
  CHECK(server.get() == "hello");
  server.wait_for("exited with code 0, but nobody had asked it to leave: ");
}

TEST_CASE("master: a killed template is forked again, and its workers do not notice") {
  Supervised server("workers 2\nanswer hello");
  server.wait_for("Generation 1 is ready");
  const pid_t former = server.children().front();
  REQUIRE(::kill(former, SIGKILL) == 0);
  server.wait_for("Template of generation 1 ended: template (pid:" + std::to_string(former) + ") was sent SIGKILL");
  CHECK(server.get() == "hello");
  server.get("/exit");
  server.wait_for("Booting worker with pid: ", 3);
  CHECK(eventually([&] { return server.children().size() == 3; }));
  CHECK(server.get() == "hello");
}

TEST_CASE("master: workers that die again and again are started with back-off, not in a hot loop") {
  Supervised server("workers 2\nserve crash\nprobation 0");
  server.wait_for("a worker died early (4 in a row)");
  std::this_thread::sleep_for(std::chrono::seconds(2));
  // There are 0.1 + 0.2 + 0.4 + ... seconds between them: a hot loop would have started hundreds.
  CHECK(server.logged("Booting worker") < 14);
  server.send(SIGTERM);
  CHECK(server.exit_code() == 0);
}

TEST_CASE("master: TTIN and TTOU change the number of workers, never below one") {
  Supervised server("workers 1\nanswer hello");
  server.wait_for("Generation 1 is ready (1 worker,");
  server.send(SIGTTIN);
  server.wait_for("Booting worker", 2);
  CHECK(eventually([&] { return server.children().size() == 3; }));
  for (int i = 0; i < 3; ++i) {
    server.send(SIGTTOU);
    server.wait_for("Handling signal: ttou", static_cast<std::size_t>(i) + 1);
  }
  CHECK(eventually([&] { return server.children().size() == 2; }));
  CHECK(server.get() == "hello");
  CHECK(server.logged("[ERROR]") == 0);
}

TEST_CASE("master: a worker whose loop hangs is aborted and replaced") {
  Supervised server("workers 1\nheartbeat_timeout 1\nanswer hello");
  server.wait_for("Generation 1 is ready");
  const pid_t victim = std::stoi(server.get("/pid"));
  const narwhal::Fd hanging = server.connect();
  REQUIRE(::send(hanging.get(), "GET /silent HTTP/1.1\r\n\r\n", 24, 0) == 24);
  server.wait_for("[CRITICAL] WORKER TIMEOUT (pid:" + std::to_string(victim) + ")");
  server.wait_for("was sent SIGABRT");
  server.wait_for("[app] was running: GET /silent");
  CHECK(server.get() == "hello");
}

TEST_CASE("master: a stuck worker is retired when its replacement serves, and killed when it does not leave") {
  Supervised server("workers 1\ndrain never\ngraceful_timeout 1\nanswer hello");
  server.wait_for("Generation 1 is ready");
  const std::string stuck = server.get("/pid");
  CHECK(server.get("/stuck") == "hello");
  server.wait_for("Booting worker", 2);
  server.wait_for("Worker (pid:" + stuck + ") was sent SIGKILL by the master.");
  CHECK(server.get("/pid") != stuck);
}

TEST_CASE("master: TERM waits for graceful_timeout, a second signal does not") {
  Supervised patient("workers 1\ndrain never\ngraceful_timeout 1");
  patient.wait_for("Generation 1 is ready");
  patient.send(SIGTERM);
  CHECK(patient.exit_code() == 0);
  CHECK(patient.logged("was sent SIGKILL by the master") == 1);
  Supervised impatient("workers 1\ndrain never\ngraceful_timeout 60");
  impatient.wait_for("Generation 1 is ready");
  impatient.send(SIGTERM);
  impatient.wait_for("Handling signal: term");
  impatient.send(SIGINT);
  CHECK(impatient.exit_code() == 0);
  CHECK(impatient.logged("Quick shutdown requested") == 1);
}

TEST_CASE("master: if it is killed, all its processes end") {
  Supervised server("workers 2\nanswer hello");
  server.wait_for("Generation 1 is ready");
  REQUIRE(eventually([&] { return server.children().size() == 3; }));
  const auto children = server.children();
  server.port();
  server.send(SIGKILL);
  CHECK(server.exit_code() == 1000 + SIGKILL);
  CHECK(eventually([&] { return !server.connect(); }, std::chrono::seconds(5)));
}

TEST_CASE("master: orphans of other processes are reaped and not mistaken for its own") {
  Supervised server("workers 1\nanswer hello");
  server.wait_for("Generation 1 is ready");
  server.get("/orphan");
  server.wait_for("which is neither a template nor a worker");
  CHECK(server.get() == "hello");
  CHECK(server.children().size() == 2);
  CHECK(server.logged("[ERROR]") == 0);
}
