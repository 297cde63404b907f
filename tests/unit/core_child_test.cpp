#include "core/child.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "core/signals.hpp"
#include "tests/support/child_status.hpp"

using namespace narwhal;

namespace {

// A child that is meant to die by a signal must not write a core file.
int die_of(int signo) {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::raise(signo);
  return 0;
}

}  // namespace

TEST_CASE("child: what the body returns is the exit status") {
  CHECK(describe_exit(status_of([] { return 3; })) == "exited with code 3");
  CHECK(describe_exit(status_of([] { return 0; })) == "exited with code 0");
}

TEST_CASE("child: the signal that ended it is named") {
  CHECK(describe_exit(status_of([] { return die_of(SIGKILL); })) == "was sent SIGKILL");
  CHECK(describe_exit(status_of([] { return die_of(SIGTERM); })) == "was sent SIGTERM");
}

TEST_CASE("child: it starts with default actions and nothing blocked, whatever its parent had") {
  auto pipe = or_throw(SignalPipe::open({SIGTERM}));
  struct sigaction ignore {
  }, former{};
  ignore.sa_handler = SIG_IGN;
  REQUIRE(::sigaction(SIGPIPE, &ignore, &former) == 0);
  Child child = [] {
    const SignalsBlocked blocked;
    return or_throw(fork_child([] {
      struct sigaction pipe_action {};
      ::sigaction(SIGPIPE, nullptr, &pipe_action);
      if (pipe_action.sa_handler != SIG_DFL) return 1;
      ::raise(SIGTERM);
      return 2;
    }));
  }();
  CHECK(describe_exit(status_of(std::move(child))) == "was sent SIGTERM");
  CHECK(pipe.arrived().empty());  // the child's TERM did not wake the parent
  ::sigaction(SIGPIPE, &former, nullptr);
}

TEST_CASE("child: an exception in it ends it and never reaches the parent's frames") {
  const int status = status_of([]() -> int {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::close(STDERR_FILENO);  // terminate()'s message
    throw std::runtime_error("thrown on purpose");
  });
  CHECK(describe_exit(status) == "was sent SIGABRT");
}

TEST_CASE("child: merged SIGCHLDs lose no child if reaping continues until nothing is left") {
  auto pipe = or_throw(SignalPipe::open({SIGCHLD}));
  constexpr int count = 5;
  std::vector<Child> children;
  for (int i = 0; i < count; ++i) children.push_back(or_throw(fork_child([i] { return i; })));
  int sum = 0;
  std::size_t reaped = 0;
  while (reaped < children.size()) {
    pollfd wait{pipe.descriptor(), POLLIN, 0};
    const int woken = ::poll(&wait, 1, 5000);  // often interrupted by this very signal
    REQUIRE((woken == 1 || (woken < 0 && errno == EINTR)));
    pipe.arrived();
    while (const auto ended = reap_any()) {
      sum += WEXITSTATUS(ended->status);
      for (Child& child : children) {
        if (child.pid() == ended->pid) child.reaped(), ++reaped;
      }
    }
  }
  CHECK(sum == 0 + 1 + 2 + 3 + 4);
  CHECK_FALSE(reap_any());
}

TEST_CASE("child: losing a pid is a bug and aborts") {
  const int status = status_of([] {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::close(STDERR_FILENO);
    { const Child lost(1); }
    return 0;
  });
  CHECK(describe_exit(status) == "was sent SIGABRT");
}

TEST_CASE("child: a signal reaches it while it is not reaped") {
  Child child = or_throw(fork_child([] {
    while (true) ::pause();
    return 0;
  }));
  CHECK(child.send(SIGKILL));
  CHECK(describe_exit(status_of(std::move(child))) == "was sent SIGKILL");
}
