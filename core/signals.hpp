// Signals, as a loop that waits in poll() wants them: the handler sets a flag and wakes the loop, nothing else.
// Threads  SignalPipe belongs to a process with one thread, or to its main thread; one at a time exists.
// Fork     the child shares the pipe until it calls default_all_signals() and closes it: fork under SignalsBlocked.
#pragma once

#include <signal.h>

#include <initializer_list>
#include <utility>
#include <vector>

#include "core/fd.hpp"
#include "core/result.hpp"

namespace narwhal {

// While it lives, the given signals are collected. Its end restores what they did before.
class SignalPipe {
 public:
  static Result<SignalPipe> open(std::initializer_list<int> signals);
  SignalPipe(SignalPipe&& other) noexcept = default;
  SignalPipe& operator=(SignalPipe&&) = delete;
  ~SignalPipe();

  // Readable when arrived() has something to tell.
  int descriptor() const noexcept { return read_end_.get(); }
  // Each signal that came since the last call, once, in ascending order; empties the pipe. Never blocks.
  std::vector<int> arrived();

 private:
  SignalPipe(Fd read_end, Fd write_end) noexcept : read_end_(std::move(read_end)), write_end_(std::move(write_end)) {}
  Fd read_end_, write_end_;
  std::vector<std::pair<int, struct sigaction>> former_;
};

// Every signal that can be blocked is, until the end of its scope puts the former mask back.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept;
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked();

 private:
  sigset_t former_;
};

// They do nothing from now on, in this process and what it forks. Not SIG_IGN: that would outlive exec(), and a shell
// cannot trap what was ignored when it began.
void disregard_signals(std::initializer_list<int> signals) noexcept;
// What a terminal or an operator sends to the whole process group, HUP, USR1, USR2, WINCH, TTIN and TTOU, is for the master,
// which tells its children what to do over their sockets: in them these signals do nothing.
void disregard_group_signals() noexcept;
// A write to a closed pipe, or past a limit on a file's size, is an error of the call and not the end of the process.
void ignore_write_signals() noexcept;
// For a fresh child: every action back to its default, no signal ignored. Async-signal-safe.
void default_all_signals() noexcept;
// Async-signal-safe. In a process with threads: the calling thread's mask alone.
void unblock_all_signals() noexcept;

// "SIGTERM"; "signal 99" when it has no name.
std::string signal_name(int signo);

}  // namespace narwhal
