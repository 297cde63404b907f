#include "server/death_notice.hpp"

#include <doctest/doctest.h>
#include <signal.h>

using namespace narwhal;
using namespace narwhal::server;

namespace {

int exited(int code) { return code << 8; }
int killed(int signo) { return signo; }

}  // namespace

TEST_CASE("death notice: the texts are Gunicorn's") {
  CHECK(death_notice(7, exited(3), Killer::unknown, Leave::unasked).text == "Worker (pid:7) exited with code 3.");
  CHECK(death_notice(7, killed(SIGKILL), Killer::unknown, Leave::unasked).text ==
        "Worker (pid:7) was sent SIGKILL! Perhaps out of memory?");
  CHECK(death_notice(7, killed(SIGTERM), Killer::unknown, Leave::unasked).text == "Worker (pid:7) was sent SIGTERM!");
  CHECK(death_notice(7, killed(SIGSEGV), Killer::unknown, Leave::unasked).text == "Worker (pid:7) was sent SIGSEGV!");
}

TEST_CASE("death notice: a kill by the master is not blamed on memory") {
  const DeathNotice notice = death_notice(7, killed(SIGKILL), Killer::master, Leave::unasked);
  CHECK(notice.text == "Worker (pid:7) was sent SIGKILL by the master.");
  CHECK(notice.level == LogLevel::warning);
}

TEST_CASE("death notice: a worker that nobody has asked to leave has been ended by its own code") {
  CHECK_FALSE(death_notice(7, exited(0), Killer::unknown, Leave::asked).crash);
  const DeathNotice notice = death_notice(7, exited(0), Killer::unknown, Leave::unasked);
  CHECK(notice.crash);
  CHECK(notice.level == LogLevel::error);
  CHECK(notice.text ==
        "Worker (pid:7) exited with code 0, but nobody had asked it to leave: has its code called _exit()?");
}

TEST_CASE("death notice: an operator's signal is not a crash") {
  for (const int signo : {SIGTERM, SIGINT, SIGQUIT})
    CHECK_FALSE(death_notice(7, killed(signo), Killer::unknown, Leave::unasked).crash);
  CHECK(death_notice(7, exited(1), Killer::unknown, Leave::unasked).crash);
  for (const int signo : {SIGKILL, SIGSEGV, SIGABRT, SIGBUS}) {
    CHECK(death_notice(7, killed(signo), Killer::unknown, Leave::unasked).crash);
    CHECK(death_notice(7, killed(signo), Killer::unknown, Leave::unasked).level == LogLevel::error);
  }
}
