#include "core/signals.hpp"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <array>
#include <atomic>

#include "core/check.hpp"

namespace narwhal {
namespace {

// A signal handler gets no argument of ours, so its data is static.
std::array<std::atomic<bool>, NSIG> has_arrived;
std::atomic<int> wakeup_write_end{-1};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

void on_signal(int signo) {
  const int saved_errno = errno;  // the interrupted call may be about to read it
  has_arrived[static_cast<std::size_t>(signo)] = true;
  // The flag says which signal; the byte only wakes the loop. If the pipe is full, a byte is waiting already.
  [[maybe_unused]] const auto ignored = ::write(wakeup_write_end, "", 1);
  errno = saved_errno;
}

void disregard(int signo) noexcept {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  ::sigaction(signo, &action, nullptr);
}

}  // namespace

Result<SignalPipe> SignalPipe::open(std::initializer_list<int> signals) {
  NARWHAL_CHECK(wakeup_write_end == -1);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return errno_error("pipe for signals");
  SignalPipe pipe{Fd(ends[0]), Fd(ends[1])};
  for (auto& flag : has_arrived) flag = false;
  wakeup_write_end = pipe.write_end_.get();
  pipe.former_.reserve(signals.size());
  for (const int signo : signals) {
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigfillset(&action.sa_mask);
    struct sigaction former {};
    if (::sigaction(signo, &action, &former) < 0) return errno_error("handle " + signal_name(signo));
    pipe.former_.emplace_back(signo, former);
  }
  return pipe;
}

SignalPipe::~SignalPipe() {
  if (!write_end_) return;  // moved from
  for (const auto& [signo, former] : former_) ::sigaction(signo, &former, nullptr);
  wakeup_write_end = -1;
}

std::vector<int> SignalPipe::arrived() {
  // Emptied before the flags are read: a signal in between leaves a byte, and the next poll() returns at once.
  char discarded[64];
  while (::read(read_end_.get(), discarded, sizeof discarded) > 0) {
  }
  std::vector<int> signals;
  for (int signo = 1; signo < NSIG; ++signo) {
    if (has_arrived[static_cast<std::size_t>(signo)].exchange(false)) signals.push_back(signo);
  }
  return signals;
}

SignalsBlocked::SignalsBlocked() noexcept {
  sigset_t all;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &former_);
}

SignalsBlocked::~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &former_, nullptr); }

void disregard_signals(std::initializer_list<int> signals) noexcept {
  for (const int signo : signals) disregard(signo);
}

void disregard_signals_without_meaning() noexcept {
  disregard_signals({SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU, SIGIO, SIGPWR, SIGSTKFLT});
  for (int signo = SIGRTMIN; signo <= SIGRTMAX; ++signo) disregard(signo);
}

void disregard_group_signals() noexcept { disregard_signals({SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGTTIN, SIGTTOU}); }

void lead_group() noexcept {
  if (::isatty(STDIN_FILENO) == 0) ::setpgid(0, 0);
}

void return_to_group_of_master() noexcept {
  if (::getpgrp() == ::getpid()) ::setpgid(0, ::getpgid(::getppid()));
}

void ignore_write_signals() noexcept {
  // SIG_IGN, as Python itself sets them.
  for (const int signo : {SIGPIPE, SIGXFSZ}) ::signal(signo, SIG_IGN);
}

void default_all_signals() noexcept {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  // The C library reserves two signals, and KILL and STOP cannot be changed: those calls fail, as they should.
  for (int signo = 1; signo < NSIG; ++signo) ::sigaction(signo, &action, nullptr);
}

void unblock_all_signals() noexcept {
  sigset_t none;
  sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

std::string signal_name(int signo) {
  const char* const name = ::sigabbrev_np(signo);
  return name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(signo);
}

}  // namespace narwhal
