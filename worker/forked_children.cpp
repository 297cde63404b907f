#include "worker/forked_children.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace narwhal::worker {

namespace {

constexpr std::array server_signals{SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGHUP, SIGUSR2, SIGWINCH, SIGTTIN, SIGTTOU};
std::array<decltype(SIG_DFL), server_signals.size()> server_handlers{};

decltype(SIG_DFL) handler_of(int number) noexcept {
  struct sigaction action {};
  return ::sigaction(number, nullptr, &action) == 0 ? action.sa_handler : SIG_DFL;
}

// By the time of a fork the descriptor may be another file's: a worker that retires closes its listeners.
struct ListenerCopy {
  int descriptor;
  ino_t inode;
};
std::vector<ListenerCopy> listeners;

ino_t inode_of(int descriptor) noexcept {
  struct stat facts {};
  return ::fstat(descriptor, &facts) == 0 ? facts.st_ino : 0;
}

// A signal that comes before the child has detached has to wait.
thread_local sigset_t mask_before_fork;

void block_signals() noexcept {
  sigset_t all;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &mask_before_fork);
}

void restore_signals() noexcept { ::pthread_sigmask(SIG_SETMASK, &mask_before_fork, nullptr); }

bool fork_is_ours = false;

void detach_from_server() noexcept {
  if (fork_is_ours) return restore_signals();
  for (const auto& [descriptor, inode] : listeners) {
    if (inode_of(descriptor) == inode) ::close(descriptor);
  }
  for (std::size_t index = 0; index < server_signals.size(); ++index) {
    const int number = server_signals[index];
    if (handler_of(number) == server_handlers[index]) ::signal(number, SIG_DFL);
  }
  restore_signals();
}

}  // namespace

void prepare_for_forked_children(const std::vector<const Listener*>& all) {
  static bool is_registered = false;  // in the template already, if this is a worker
  fork_is_ours = false;
  listeners.clear();
  for (const Listener* listener : all) {
    const int descriptor = listener->fd.get();
    listeners.push_back({descriptor, inode_of(descriptor)});
  }
  note_signal_handlers();
  if (!std::exchange(is_registered, true)) ::pthread_atfork(block_signals, restore_signals, detach_from_server);
}

ForkOfServer::ForkOfServer() noexcept { fork_is_ours = true; }
ForkOfServer::~ForkOfServer() { fork_is_ours = false; }

void note_signal_handlers() noexcept {
  std::transform(server_signals.begin(), server_signals.end(), server_handlers.begin(), handler_of);
}

}  // namespace narwhal::worker
