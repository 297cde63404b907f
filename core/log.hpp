// The error log: "[2026-11-20 08:25:41 +0000] [PID] [LEVEL] text", one write(2) a line.
// Threads  any. Control bytes in a line are escaped here, so no caller can forge one; what is said to be a text of
//          several lines is its caller's business.
// Fork     safe to use on both sides: no thread, no buffer left behind.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

#include "core/config.hpp"
#include "core/result.hpp"

namespace narwhal::log {

// Target "-" is stderr, else a file that is appended to. Until the first call: stderr at level info.
Result<Done> open(const std::string& target, LogLevel level);
// After the files were renamed.
Result<Done> reopen();
// Standard output and standard error go there as well, and follow it when it is reopened.
Result<Done> capture_output();
// The descriptor lines go to, for signal handlers and for close_all_but(). Valid until the next open().
int descriptor() noexcept;
bool enabled(LogLevel level) noexcept;
void write(LogLevel level, std::string_view text) noexcept;
// A line, and right behind it a text of several lines as it is, in one piece; an empty line: the text alone.
void write(LogLevel level, std::string_view line, std::string_view text) noexcept;

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(LogLevel::debug)) write(LogLevel::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(LogLevel::info)) write(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(LogLevel::warning)) write(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(LogLevel::error, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void critical(fmt::format_string<Args...> format, Args&&... args) {
  write(LogLevel::critical, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace narwhal::log
