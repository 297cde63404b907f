#include "worker/forked_children.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

namespace narwhal::worker {

namespace {

constexpr std::array servers_signals{SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGHUP, SIGUSR2, SIGWINCH, SIGTTIN, SIGTTOU};
std::array<decltype(SIG_DFL), servers_signals.size()> servers_handlers{};

decltype(SIG_DFL) handler_of(int number) noexcept {
  struct sigaction action {};
  return ::sigaction(number, nullptr, &action) == 0 ? action.sa_handler : SIG_DFL;
}

// A number may be another file's by the time of a fork: a worker that retires closes its listeners.
struct Listening {
  int descriptor;
  ino_t inode;
};
std::vector<Listening> listening;

ino_t inode_of(int descriptor) noexcept {
  struct stat facts {};
  return ::fstat(descriptor, &facts) == 0 ? facts.st_ino : 0;
}

// One that comes before the child has got there has to wait.
thread_local sigset_t mask_before_fork;

void hold_signals() noexcept {
  sigset_t all;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &mask_before_fork);
}

void release_signals() noexcept { ::pthread_sigmask(SIG_SETMASK, &mask_before_fork, nullptr); }

void let_go() noexcept {
  for (const auto& [descriptor, inode] : listening) {
    if (inode_of(descriptor) == inode) ::close(descriptor);
  }
  for (std::size_t index = 0; index < servers_signals.size(); ++index) {
    const int number = servers_signals[index];
    if (handler_of(number) == servers_handlers[index]) ::signal(number, SIG_DFL);
  }
  release_signals();
}

}  // namespace

void prepare_for_forked_children(const Seat& seat) {
  for (const Listener* listener : seat.listeners) {
    const int descriptor = listener->fd.get();
    listening.push_back({descriptor, inode_of(descriptor)});
  }
  note_handled_signals();
  ::pthread_atfork(hold_signals, release_signals, let_go);
}

void note_handled_signals() noexcept {
  std::transform(servers_signals.begin(), servers_signals.end(), servers_handlers.begin(), handler_of);
}

}  // namespace narwhal::worker
