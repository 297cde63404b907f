#include "core/signals.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

using namespace narwhal;

namespace {

bool readable(const SignalPipe& pipe) {
  pollfd wait{pipe.descriptor(), POLLIN, 0};
  return ::poll(&wait, 1, 0) == 1;
}

}  // namespace

TEST_CASE("signals: the pipe wakes a poll and returns each signal once") {
  auto pipe = or_throw(SignalPipe::open({SIGUSR1, SIGHUP}));
  CHECK_FALSE(readable(pipe));
  ::raise(SIGUSR1);
  ::raise(SIGHUP);
  ::raise(SIGUSR1);
  CHECK(readable(pipe));
  CHECK(pipe.arrived() == std::vector<int>{SIGHUP, SIGUSR1});
  CHECK_FALSE(readable(pipe));
  CHECK(pipe.arrived().empty());
}

TEST_CASE("signals: more of them than fit into the pipe do not block") {
  auto pipe = or_throw(SignalPipe::open({SIGUSR1}));
  for (int i = 0; i < 70000; ++i) ::raise(SIGUSR1);
  CHECK(pipe.arrived() == std::vector<int>{SIGUSR1});
  CHECK_FALSE(readable(pipe));
}

TEST_CASE("signals: the handler leaves errno alone") {
  auto pipe = or_throw(SignalPipe::open({SIGUSR1}));
  errno = E2BIG;
  ::raise(SIGUSR1);
  CHECK(errno == E2BIG);
}

TEST_CASE("signals: the pipe's destructor restores the former actions") {
  struct sigaction ignore {
  }, former{}, now{};
  ignore.sa_handler = SIG_IGN;
  REQUIRE(::sigaction(SIGUSR2, &ignore, &former) == 0);
  {
    auto pipe = or_throw(SignalPipe::open({SIGUSR2}));
    SignalPipe moved = std::move(pipe);
    ::raise(SIGUSR2);
    CHECK(moved.arrived() == std::vector<int>{SIGUSR2});
  }
  ::sigaction(SIGUSR2, nullptr, &now);
  CHECK((now.sa_handler == SIG_IGN));
  ::sigaction(SIGUSR2, &former, nullptr);
}

TEST_CASE("signals: one that cannot be handled is an error with a message, and the others are restored") {
  const auto pipe = SignalPipe::open({SIGUSR1, SIGKILL});
  REQUIRE_FALSE(pipe);
  CHECK(pipe.error() == "handle SIGKILL: Invalid argument");
  struct sigaction now {};
  ::sigaction(SIGUSR1, nullptr, &now);
  CHECK((now.sa_handler == SIG_DFL));
}

TEST_CASE("signals: blocked ones arrive when the scope ends") {
  auto pipe = or_throw(SignalPipe::open({SIGUSR1}));
  {
    const SignalsBlocked blocked;
    ::raise(SIGUSR1);
    CHECK(pipe.arrived().empty());
  }
  CHECK(pipe.arrived() == std::vector<int>{SIGUSR1});
}

TEST_CASE("signals: both ends of the pipe close on exec") {
  auto pipe = or_throw(SignalPipe::open({SIGUSR1}));
  CHECK((::fcntl(pipe.descriptor(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("signals: each has a name") {
  CHECK(signal_name(SIGSEGV) == "SIGSEGV");
  CHECK(signal_name(999) == "signal 999");
}

TEST_CASE("signals: those without meaning for a server do not end it, and are not ignored in what it executes") {
  struct sigaction former[NSIG];
  const int samples[] = {SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU, SIGIO, SIGPWR, SIGSTKFLT, SIGRTMIN, SIGRTMAX};
  for (int signo = 1; signo < NSIG; ++signo) ::sigaction(signo, nullptr, &former[signo]);
  disregard_signals_without_meaning();
  for (const int signo : samples) {
    CAPTURE(signo);
    CHECK(::raise(signo) == 0);
    struct sigaction now {};
    ::sigaction(signo, nullptr, &now);
    CHECK((now.sa_handler != SIG_IGN));
  }
  for (int signo = 1; signo < NSIG; ++signo) ::sigaction(signo, &former[signo], nullptr);
}
