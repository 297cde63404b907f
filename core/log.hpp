// The error log: "[2026-11-20 08:25:41 +0000] [PID] [LEVEL] text", one write(2) a line.
// Threads  any. Control bytes in a line are escaped here, so no caller can forge one; what is said to be a text of
//          several lines is its caller's business.
// Memory   where it is out, a line is written all the same, cut to what fits on the stack.
// Fork     safe to use on both sides: no thread, no buffer left behind.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

#include "core/config.hpp"
#include "core/fd.hpp"
#include "core/result.hpp"

namespace narwhal::log {

// Target "-" is stderr, else a file that is appended to. Until the first call: stderr at level info.
Result<Done> open(const std::string& target, LogLevel level);
// After the files were renamed.
Result<Done> reopen();
// A file that lines are appended to; what is no file, as a FIFO without a reader, is not waited for.
Result<Fd> open_file(const std::string& path);
// Goes on in a file that somebody with the right to has opened, if it was not stderr until now.
Result<Done> follow(const Fd& file);
// Standard output and standard error go there as well, and follow it when it is reopened.
Result<Done> capture_output();
// The descriptor lines go to, for signal handlers and for close_all_but(). Valid until the next open().
int descriptor() noexcept;
bool enabled(LogLevel level) noexcept;
void write(LogLevel level, std::string_view text) noexcept;
// A line, and right behind it a text of several lines as it is, in one piece; an empty line: the text alone.
void write(LogLevel level, std::string_view line, std::string_view text) noexcept;

// A line of what {fmt} makes of this; when there is no memory for that, the format as it is.
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
