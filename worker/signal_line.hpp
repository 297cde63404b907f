// SignalLine: a line of the error log that a signal handler writes: put together without allocation, locale or lock.
// SignalText: lines that follow it, without a time stamp or level of their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/config.hpp"

namespace narwhal::worker {

class SignalLine {
 public:
  // Begins with "[2026-11-20 08:25:41 +0000] [PID] [LEVEL] ", in UTC: a signal handler may not ask for local time.
  explicit SignalLine(LogLevel level) noexcept;
  SignalLine& add(std::string_view text) noexcept;  // control bytes become '?': a target cannot forge a line
  SignalLine& add(std::uint64_t number, int width = 0) noexcept;
  void write_out() noexcept;

 private:
  const LogLevel level_;
  std::size_t size_ = 0;
  char text_[1024];
};

class SignalText {
 public:
  explicit SignalText(LogLevel level) noexcept : level_(level) {}
  SignalText(const SignalText&) = delete;
  SignalText& operator=(const SignalText&) = delete;
  ~SignalText();                                       // writes the rest
  SignalText& add(std::string_view text) noexcept;     // as SignalLine::add(); a line longer than 1023 bytes is cut
  SignalText& add_hex(std::uint64_t number) noexcept;  // without "0x"
  void end_line() noexcept;                            // no line is written in two pieces
  std::size_t line_size() const noexcept { return size_ - begin_; }

 private:
  void write_lines() noexcept;

  const LogLevel level_;
  std::size_t begin_ = 0, size_ = 0;  // of the line that has not ended; of all
  char text_[1024];
};

}  // namespace narwhal::worker
