// Crash reports: what a process was doing when a signal ended it, and where a stuck thread is.
// Signals  the handlers use only what is safe there: write(2), and worker/stack_trace.hpp.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/generation.hpp"
#include "core/scoreboard.hpp"

namespace narwhal::worker {

// Main thread, once: handlers for SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT that log the request and the stack of
// the thread at fault, then let the signal end the process; and the handler that dump_thread() needs.
// `process` begins the line: "Worker", a literal. `generation`, whose plugins run here, outlives the process.
void log_crashes(const char* process, const Generation& generation) noexcept;
// log_crashes() and log_calls_of_exit().
void install_crash_handlers(const char* process, const Generation& generation) noexcept;
// The same line and stack when code of a plugin calls exit(), which then ends this process at once. Forked children are
// not concerned. Main thread, once.
void log_calls_of_exit(const char* process, const Generation& generation) noexcept;
// From here on exit() is the end of the process itself.
void permit_exit() noexcept;
// Where the handlers note which thread was at fault, for the master: a word that stays for the life of the process.
void note_crashed_thread_in(std::atomic<std::uint32_t>& word) noexcept;
// Each handler thread, first: an alternate signal stack if there are handlers, and where its request is recorded.
void register_thread(Running* record) noexcept;
// Makes another thread of this process log its stack, by a signal: a system call that it waits in may end with EINTR.
void dump_thread(std::uint32_t thread_id, LogLevel level) noexcept;
// Before the process ends: until the stacks that were asked for are in the log, at most a second.
void wait_for_dumps() noexcept;
// How many threads this process has, as the kernel counts them.
unsigned count_threads();

}  // namespace narwhal::worker
