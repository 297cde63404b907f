#include "core/child.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/signals.hpp"

namespace narwhal {

bool Child::send(int signo) const noexcept {
  // kill(0, ...) would hit our whole process group.
  NARWHAL_CHECK(pid_ > 0);
  return ::kill(pid_, signo) == 0;
}

Result<Child> fork_child(const std::function<int()>& body) {
  // A TERM between fork() and the child's own set-up would run the master's handler in the child
  // and wake the master through the pipe they share.
  const SignalsBlocked until_set_up;
  const pid_t pid = ::fork();
  if (pid < 0) return errno_error("fork");
  if (pid == 0) {
    [&]() noexcept {  // an exception here would unwind into the master's own frames
      default_all_signals();
      unblock_all_signals();
      ::_exit(body());
    }();
  }
  return Child(pid);
}

bool signal_group(pid_t leader, int signo) noexcept {
  NARWHAL_CHECK(leader > 1);  // -1 would be every process
  return ::kill(-leader, signo) == 0;
}

void end_group(pid_t leader) noexcept {
  if (!signal_group(leader, SIGTERM)) return;
  for (int look = 0; look < 10 && signal_group(leader, 0); ++look) ::usleep(5000);
  signal_group(leader, SIGKILL);
}

std::optional<Reaped> reap_any() {
  while (true) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED);
    if (pid > 0) return Reaped{pid, status};
    if (pid < 0 && errno == EINTR) continue;
    return std::nullopt;  // none has ended, or none is left (ECHILD)
  }
}

std::string describe_exit(int status) {
  if (WIFEXITED(status)) return "exited with code " + std::to_string(WEXITSTATUS(status));
  if (!WIFSIGNALED(status)) return "changed to status " + std::to_string(status);
  const char* const hint = WTERMSIG(status) == SIGSYS ? " for a system call that is not allowed (seccomp)" : "";
  return "was sent " + signal_name(WTERMSIG(status)) + hint + (WCOREDUMP(status) ? " (core dumped)" : "");
}

}  // namespace narwhal
