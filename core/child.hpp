// Child processes: the owner of a pid, fork, and how a child ended.
// Threads  fork_child() leaves only the calling thread in the child; the master has no other.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "core/check.hpp"
#include "core/result.hpp"

namespace narwhal {

// A pid that its owner must reap; losing one is a bug. Destructors never wait.
class Child {
 public:
  explicit Child(pid_t pid) noexcept : pid_(pid) {}
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  Child& operator=(Child other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }
  ~Child() { NARWHAL_CHECK(pid_ == 0); }

  pid_t pid() const noexcept { return pid_; }
  // Safe until reaped(): before that, the pid cannot belong to another process. False: refused by the kernel.
  bool send(int signo) const noexcept;
  void reaped() noexcept { pid_ = 0; }  // call only after waitpid() returned this pid

 private:
  pid_t pid_;
};

// Runs body() in a new process with every signal at its default and none blocked. Its return value is the exit status,
// by _exit(): no destructor, no atexit handler and no flush of inherited stdio buffers runs there.
Result<Child> fork_child(const std::function<int()>& body);

// To every process of the group that this child led, also after its end. False: there is none.
bool signal_group(pid_t leader, int signo) noexcept;
// SIGTERM, and a moment later SIGKILL. Waits for that moment if there is one.
void end_group(pid_t leader) noexcept;

struct Reaped {
  pid_t pid;
  int status;  // as waitpid() gives it
};
// One ended child of any origin, or one that a signal has stopped (WIFSTOPPED), which stays; nullopt if there is none.
// SIGCHLD merges, so call it until nullopt.
std::optional<Reaped> reap_any();

// "exited with code 3", "was sent SIGSEGV (core dumped)".
std::string describe_exit(int status);

}  // namespace narwhal
