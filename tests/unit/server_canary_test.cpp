// A reload with `canary`: some workers of the new generation serve first, and are compared with the old one.
#include "server/canary.hpp"

#include "tests/support/supervised.hpp"

using namespace narwhal::server;
using namespace std::chrono_literals;
using narwhal::Share;
using narwhal::toy::eventually;
using narwhal::toy::Supervised;

namespace {

CanaryCounts counts(std::uint64_t requests, std::uint64_t errors, std::size_t bucket = 10, unsigned crashes = 0) {
  CanaryCounts made;
  made.requests = requests;
  made.errors = errors;
  made.crashes = crashes;
  made.latency[bucket] = requests;
  return made;
}

bool serves_only(const Supervised& server, const std::string& number, std::size_t workers) {
  return eventually([&] { return server.children().size() == workers + 1 && server.get("/generation") == number; });
}

// Until the workers of both generations have answered so often.
void load(const Supervised& server, int requests) {
  for (int i = 0; i < requests; ++i) server.get();
}

// Which generations answer.
std::pair<int, int> answers(const Supervised& server, int requests) {
  std::pair<int, int> seen{0, 0};
  for (int i = 0; i < requests; ++i) ++(server.get("/generation") == "1" ? seen.first : seen.second);
  return seen;
}

const std::string old_settings = "workers 4\nanswer one";
const std::string fresh_settings = "workers 4\nanswer two\ncanary 25%\ncanary_time ";

}  // namespace

TEST_CASE("canary: a share is at least one worker, and at most all") {
  CHECK(canary_workers({0, false}, 4) == 0);
  CHECK(canary_workers({0, true}, 4) == 0);
  CHECK(canary_workers({1, false}, 4) == 1);
  CHECK(canary_workers({9, false}, 4) == 4);
  CHECK(canary_workers({25, true}, 4) == 1);
  CHECK(canary_workers({25, true}, 6) == 2);
  CHECK(canary_workers({1, true}, 3) == 1);
  CHECK(canary_workers({100, true}, 3) == 3);
}

TEST_CASE("canary: it waits until the time is up, unless it is worse") {
  const CanaryCounts good = counts(1000, 1);
  CHECK(judge(good, good, false) == Verdict::wait);
  CHECK(judge(good, good, true) == Verdict::on);
  CHECK(judge(counts(0, 0), counts(0, 0), true) == Verdict::on);
}

TEST_CASE("canary: more errors than the old generation send it back, if there are enough of them") {
  CHECK(judge(counts(200, 10), counts(600, 0), false) == Verdict::back);
  CHECK(judge(counts(200, 10), counts(600, 30), false) == Verdict::wait);
  CHECK(judge(counts(200, 4), counts(600, 0), true) == Verdict::on);
  CHECK(judge(counts(40, 40), counts(600, 0), true) == Verdict::on);            // too few requests
  CHECK(judge(counts(100000, 500), counts(100000, 100), true) == Verdict::on);  // half a percentage point more
}

TEST_CASE("canary: slow answers send it back when the time is up") {
  CHECK(judge(counts(200, 0, 16), counts(600, 0, 14), false) == Verdict::wait);
  CHECK(judge(counts(200, 0, 16), counts(600, 0, 14), true) == Verdict::back);
  CHECK(judge(counts(200, 0, 15), counts(600, 0, 14), true) == Verdict::on);  // twice as long
  CHECK(judge(counts(200, 0, 12), counts(600, 0, 8), true) == Verdict::on);   // 4 ms
  CHECK(judge(counts(200, 0, 16), counts(10, 0, 14), true) == Verdict::on);   // nothing to compare with
}

TEST_CASE("canary: two crashes send it back, if the old generation has fewer") {
  CHECK(judge(counts(0, 0, 0, 1), counts(0, 0), true) == Verdict::on);
  CHECK(judge(counts(0, 0, 0, 2), counts(0, 0), false) == Verdict::back);
  CHECK(judge(counts(0, 0, 0, 2), counts(0, 0, 0, 2), false) == Verdict::wait);
}

TEST_CASE("canary: figures are for people") {
  CHECK(figures(counts(0, 0)) == "0 of 0 requests failed, no worker crashed");
  CHECK(figures(counts(200, 3, 12, 2)) == "3 of 200 requests failed, 9 in 10 took 4.1 ms at most, 2 crashed");
}

TEST_CASE(
    "canary: some workers serve first, as many of the old generation accept nothing; then the new one takes over") {
  Supervised server(old_settings);
  REQUIRE(serves_only(server, "1", 4));
  server.configure(fresh_settings + "4");
  server.send(SIGHUP);
  server.wait_for("[INFO] Reload: canary: 1 of 4 workers run generation 2; they are compared for 4 s");
  // Two templates, four old workers and a new one. The kernel's list may leave a child out while another one ends.
  CHECK(eventually([&] { return server.children().size() == 7; }));
  const auto [old, fresh] = answers(server, 200);
  CHECK(old > 0);
  CHECK(fresh > 0);
  CHECK(server.logged("Canary passed: generation 2: 0 of ") == 0);
  server.wait_for("Canary passed: generation 2: 0 of ");
  server.wait_for("Generation 2 is ready (4 workers, ");
  CHECK(serves_only(server, "2", 4));
  CHECK(server.logged("[ERROR]") == 0);
}

TEST_CASE(
    "canary: one that answers errors goes back, with the figures, and the workers of the old generation are the same "
    "as before") {
  Supervised server(old_settings);
  REQUIRE(serves_only(server, "1", 4));
  const auto before = server.children();
  server.configure(fresh_settings + "60\nstatus 500");
  server.send(SIGHUP);
  server.wait_for("canary: 1 of 4 workers run generation 2");
  CHECK(eventually([&] { return load(server, 50), server.logged("Reload failed") == 1; }));
  CHECK(server.logged("Reload failed at step 'canary': generation 2: ") == 1);
  CHECK(server.logged("; generation 1: 0 of ") == 1);
  CHECK(server.logged("no worker crashed; generation 1 continues to serve") == 1);
  CHECK(serves_only(server, "1", 4));
  CHECK(server.children() == before);
  for (int i = 0; i < 20; ++i) CHECK(server.get() == "one");
  // The next reload begins as any other.
  server.configure("workers 2\nanswer three");
  server.send(SIGHUP);
  CHECK(serves_only(server, "3", 2));
}

TEST_CASE("canary: workers that crash send it back") {
  Supervised server(old_settings);
  REQUIRE(serves_only(server, "1", 4));
  server.configure(fresh_settings + "60\nserve crash");
  server.send(SIGHUP);
  server.wait_for("Reload failed at step 'canary': generation 2: 0 of ");
  CHECK(server.logged(" requests failed, 2 crashed; generation 1: ") == 1);
  CHECK(serves_only(server, "1", 4));
  CHECK(server.logged("rolling back") == 0);
}

TEST_CASE("canary: workers of both generations are replaced") {
  Supervised server(old_settings);
  REQUIRE(serves_only(server, "1", 4));
  server.configure(fresh_settings + "60");  // longer than the test: the comparison must not end meanwhile
  server.send(SIGHUP);
  server.wait_for("canary: 1 of 4 workers run generation 2");
  REQUIRE(eventually([&] { return server.children().size() == 7; }));
  for (const std::string number : {"1", "2"}) {
    // Both figures from one answer: two requests may reach two workers, and two crashes of the new generation end the
    // comparison.
    std::string worker;
    REQUIRE(eventually([&] { return (worker = server.get("/worker")).substr(0, 2) == number + " "; }));
    const std::string pid = worker.substr(2);
    ::kill(std::stoi(pid), SIGKILL);
    server.wait_for("Worker (pid:" + pid + ") was sent SIGKILL");
    REQUIRE(eventually([&] { return server.children().size() == 7; }));
    CHECK(eventually([&] { return server.get("/generation") == number; }));
  }
  CHECK(server.logged("Reload failed") == 0);
}

TEST_CASE("canary: a template that dies is started again") {
  Supervised server(old_settings);
  REQUIRE(serves_only(server, "1", 4));
  const auto before = server.children();
  server.configure(fresh_settings + "2");
  server.send(SIGHUP);
  server.wait_for("canary: 1 of 4 workers run generation 2");
  // The first of the new processes.
  pid_t fresh_template = 0;
  for (const pid_t child : server.children()) {
    const bool is_new = std::find(before.begin(), before.end(), child) == before.end();
    if (is_new && fresh_template == 0) fresh_template = child;
  }
  REQUIRE(fresh_template != 0);
  ::kill(fresh_template, SIGKILL);
  server.wait_for("Generation 2 is ready (4 workers, ");
  CHECK(serves_only(server, "2", 4));
}

TEST_CASE("canary: a reload that is asked for meanwhile runs after it") {
  Supervised server(old_settings);
  REQUIRE(serves_only(server, "1", 4));
  server.configure(fresh_settings + "2");
  server.send(SIGHUP);
  server.wait_for("canary: 1 of 4 workers run generation 2");
  server.configure("workers 3\nanswer three");
  server.send(SIGHUP);
  server.wait_for("Generation 2 is ready (4 workers, ");
  CHECK(serves_only(server, "3", 3));
  CHECK(server.logged("canary: ") == 1);
}

TEST_CASE("canary: TERM ends both generations, and no client is cut off") {
  Supervised server(old_settings);
  REQUIRE(serves_only(server, "1", 4));
  server.configure(fresh_settings + "60");
  server.send(SIGHUP);
  server.wait_for("canary: 1 of 4 workers run generation 2");
  server.send(SIGTERM);
  CHECK(server.exit_code() == 0);
  CHECK(server.logged("[ERROR]") == 0);
}

TEST_CASE("canary: TTIN meanwhile counts whether it passes or goes back") {
  for (const std::string ending : {"", "\nserve crash"}) {
    CAPTURE(ending);
    Supervised server("workers 2");
    REQUIRE(serves_only(server, "1", 2));
    server.configure("workers 2\nanswer two\ncanary 1\ncanary_time 3" + ending);
    server.send(SIGHUP);
    server.wait_for("canary: 1 of 2 workers run generation 2");
    server.send(SIGTTIN);
    server.wait_for(ending.empty() ? "Generation 2 is ready" : "Reload failed at step 'canary'");
    CHECK(serves_only(server, ending.empty() ? "2" : "1", 3));
  }
}

TEST_CASE("canary: with one worker, the new one serves beside the old one") {
  Supervised server("workers 1\nanswer one");
  REQUIRE(serves_only(server, "1", 1));
  server.configure("workers 1\nanswer two\ncanary 50%\ncanary_time 2");
  server.send(SIGHUP);
  server.wait_for("canary: 1 of 1 workers run generation 2");
  CHECK(eventually([&] { return server.children().size() == 4; }));
  CHECK(serves_only(server, "2", 1));
}

TEST_CASE("canary: a generation that passed is on probation, and its rollback has no canary") {
  Supervised server("workers 2\nanswer one\ncanary 1\ncanary_time 1");
  REQUIRE(serves_only(server, "1", 2));
  server.configure("workers 2\nanswer two\ncanary 1\ncanary_time 1");
  server.send(SIGHUP);
  server.wait_for("Generation 2 is ready");
  for (int i = 0; i < 8 && server.logged("rolling back") == 0; ++i) {
    server.get("/crash");
    eventually([&] { return !server.get().empty(); });
  }
  server.wait_for("rolling back to generation 1");
  server.wait_for("Generation 3 is ready");
  CHECK(server.logged("canary: ") == 1);
}
