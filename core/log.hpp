// The error log: "[2026-11-20 08:25:41 +0000] [PID] [LEVEL] text", one write(2) per line. In the journal each line begins
// with its priority as well, "<3>".
// Waits    for a limited time (core/log_writer.hpp). What a full disk or a stopped reader does not take is dropped and counted.
// Threads  any. Control bytes in a line are escaped here, so no caller can forge a line; the caller is responsible for
//          a text of several lines.
// Memory   without memory a line is written nevertheless, cut to what fits on the stack.
// Fork     safe in parent and child: it has no threads and no buffers.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "core/clock.hpp"
#include "core/config.hpp"
#include "core/fd.hpp"
#include "core/log_records.hpp"
#include "core/result.hpp"

namespace narwhal::log {

// Target "-" is stderr, else a file that is appended to. Until the first call: stderr at level info.
Result<Done> open(const std::string& target, LogLevel level);
// Opens the file again, after it was renamed.
Result<Done> reopen();
// Continues in a file that a process with the necessary rights has opened, unless the log is stderr.
Result<Done> follow(const Fd& file);
// Lines go to the log process from now on, by this socket (core/log_records.hpp); -1: to the target again. A line that
// that process does not take, because it is slow or gone, goes to the target.
void collect(int socket) noexcept;
// A line for the target, past the log process: about that process.
void write_to_target(LogLevel level, std::string_view text) noexcept;
// A metric for the log process, with a line at level debug. Without such a process: nothing.
void metric(const LogMetric& metric, std::string_view text) noexcept;
// What begins a line of standard error that is not the log's own: "<3>" if it is the journal.
std::string_view standard_error_mark(LogLevel level) noexcept;
// Standard output and standard error go to the log as well, also after it is reopened. They wait for its reader.
Result<Done> capture_output();
// In a child: its standard error goes there.
void redirect_standard_error() noexcept;
// What open(), collect() and capture_output() have set, for another program that inherits the descriptors.
struct State {
  std::string target;  // absolute; empty: stderr
  int descriptor = -1, collector = -1;
  LogLevel level = LogLevel::info;
  bool is_output_captured = false, is_journal = false;
};
State state();
void resume(const State& state);
// The descriptor lines go to, for signal handlers and for close_all_but(). Valid until the next open().
int descriptor() noexcept;
bool enabled(LogLevel level) noexcept;
void write(LogLevel level, std::string_view text) noexcept;
// A line, directly followed by a text of several lines as it is, in one write; if `line` is empty, only the text.
void write(LogLevel level, std::string_view line, std::string_view text) noexcept;

// The same in a signal handler: whole lines, without a time stamp or level of their own.
void write_in_signal_handler(LogLevel level, std::string_view lines) noexcept;

// False: the line could not be written now, and is the caller's to write again.
bool write_if_possible(LogLevel level, std::string_view text) noexcept;

// ---- lines that were dropped ----
std::uint64_t dropped() noexcept;     // by this process
std::uint64_t unreported() noexcept;  // of them
// Lines of any log that another process has dropped and could not report before it ended: report_dropped() does.
void adopt_unreported(std::uint64_t lines) noexcept;
// When report_dropped() has something to do; never: nothing. It writes how many were dropped since it last did, at most
// every few seconds, and tries again where that fails. So does each line that is written.
Instant report_due() noexcept;
void report_dropped() noexcept;
// In a forked process, whose parent reports its own.
void begin_process() noexcept;

// A formatted line; if there is no memory for that, the format string.
void write_formatted(LogLevel level, fmt::string_view format, fmt::format_args arguments) noexcept;

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) noexcept {
  if (enabled(LogLevel::debug)) write_formatted(LogLevel::debug, format, fmt::make_format_args(args...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) noexcept {
  if (enabled(LogLevel::info)) write_formatted(LogLevel::info, format, fmt::make_format_args(args...));
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) noexcept {
  if (enabled(LogLevel::warning)) write_formatted(LogLevel::warning, format, fmt::make_format_args(args...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) noexcept {
  write_formatted(LogLevel::error, format, fmt::make_format_args(args...));
}
template <class... Args>
void critical(fmt::format_string<Args...> format, Args&&... args) noexcept {
  write_formatted(LogLevel::critical, format, fmt::make_format_args(args...));
}

}  // namespace narwhal::log
