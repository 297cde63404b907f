#include "worker/child_signals.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <array>

namespace narwhal::worker {

namespace {

constexpr std::array servers_signals{SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGHUP, SIGUSR2, SIGWINCH, SIGTTIN, SIGTTOU};
std::array<decltype(SIG_DFL), servers_signals.size()> servers_handlers{};

decltype(SIG_DFL) handler_of(int number) noexcept {
  struct sigaction action {};
  return ::sigaction(number, nullptr, &action) == 0 ? action.sa_handler : SIG_DFL;
}

// One that comes before the child has got there has to wait.
thread_local sigset_t mask_before_fork;

void hold_signals() noexcept {
  sigset_t all;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &mask_before_fork);
}

void release_signals() noexcept { ::pthread_sigmask(SIG_SETMASK, &mask_before_fork, nullptr); }

void let_go_of_signals() noexcept {
  for (std::size_t index = 0; index < servers_signals.size(); ++index) {
    const int number = servers_signals[index];
    if (handler_of(number) == servers_handlers[index]) ::signal(number, SIG_DFL);
  }
  release_signals();
}

}  // namespace

void keep_signals_from_forked_children() noexcept {
  std::transform(servers_signals.begin(), servers_signals.end(), servers_handlers.begin(), handler_of);
  ::pthread_atfork(hold_signals, release_signals, let_go_of_signals);
}

}  // namespace narwhal::worker
