// Signals for a loop that waits in poll() (a self-pipe): the handler only sets a flag and wakes the loop.
// Threads  a SignalPipe belongs to a process with one thread, or to its main thread; only one may exist at a time.
// Fork     the child shares the pipe until it calls default_all_signals() and closes it: fork under SignalsBlocked.
#pragma once

#include <signal.h>

#include <initializer_list>
#include <utility>
#include <vector>

#include "core/fd.hpp"
#include "core/result.hpp"

namespace narwhal {

// Collects the given signals while it lives. Its destructor restores their former actions.
class SignalPipe {
 public:
  static Result<SignalPipe> open(std::initializer_list<int> signals);
  SignalPipe(SignalPipe&& other) noexcept = default;
  SignalPipe& operator=(SignalPipe&&) = delete;
  ~SignalPipe();

  // Readable when arrived() has something to return.
  int descriptor() const noexcept { return read_end_.get(); }
  // Each signal that came since the last call, once, in ascending order; empties the pipe. Never blocks.
  std::vector<int> arrived();

 private:
  SignalPipe(Fd read_end, Fd write_end) noexcept : read_end_(std::move(read_end)), write_end_(std::move(write_end)) {}
  Fd read_end_, write_end_;
  std::vector<std::pair<int, struct sigaction>> former_;
};

// Blocks every signal that can be blocked; the end of its scope restores the former mask.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept;
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked();

 private:
  sigset_t former_;
};

// These signals do nothing from now on, in this process and its children. Not by SIG_IGN, which would outlive exec(): a
// shell cannot trap signals that were ignored when it started.
void disregard_signals(std::initializer_list<int> signals) noexcept;
// Signals whose default action ends a process, and which have no meaning for a server: timers, XCPU (a limit that warns),
// IO, PWR, STKFLT, real-time signals. As disregard_signals(): children and what they execute get the defaults back.
void disregard_signals_without_meaning() noexcept;
// What a terminal or an operator sends to the whole process group, HUP, USR1, USR2, WINCH, TTIN and TTOU, is for the
// master, which tells its children what to do over their sockets: in them these signals do nothing.
void disregard_group_signals() noexcept;
// While the code of an operator or an application is loaded, the process leads a process group, to which what that code
// starts belongs; then it returns to the group of its parent, the master. Not where standard input is a terminal, from
// which another group cannot read.
void lead_group() noexcept;
void return_to_group_of_master() noexcept;
// A write to a closed pipe, or past a limit on a file's size, is an error of the call and not the end of the process.
void ignore_write_signals() noexcept;
// For a new child: every action back to its default, no signal ignored. Async-signal-safe.
void default_all_signals() noexcept;
// Async-signal-safe. In a process with threads, only the calling thread's mask.
void unblock_all_signals() noexcept;

// "SIGTERM"; "signal 99" if it has no name.
std::string signal_name(int signo);

}  // namespace narwhal
