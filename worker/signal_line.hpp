// SignalLine: a line of the error log that a signal handler writes: put together without allocation, locale or lock.
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

}  // namespace narwhal::worker
