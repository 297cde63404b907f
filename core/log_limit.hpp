// LogLimit: at most so many lines a second of one kind, which clients or the system can cause at any rate. The next line
// says how many were left out.
// Threads  any.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/log.hpp"

namespace narwhal {

class LogLimit {
 public:
  static constexpr unsigned for_clients = 500;  // lines a second, where each is about another client or request
  explicit constexpr LogLimit(unsigned lines_a_second = for_clients) noexcept : most_(lines_a_second) {}

  template <class... Args>
  void warning(fmt::format_string<Args...> format, Args&&... args) noexcept {
    if (admits(now())) write(LogLevel::warning, format, fmt::make_format_args(args...));
  }
  template <class... Args>
  void error(fmt::format_string<Args...> format, Args&&... args) noexcept {
    if (admits(now())) write(LogLevel::error, format, fmt::make_format_args(args...));
  }

  bool admits(Instant now) noexcept;
  std::uint64_t take_left_out() noexcept { return left_out_.exchange(0, std::memory_order_relaxed); }

 private:
  void write(LogLevel level, fmt::string_view format, fmt::format_args arguments) noexcept;

  const unsigned most_;
  std::atomic<unsigned> count_{0};  // in the second that began then
  std::atomic<Instant> began_{Instant{}};
  std::atomic<std::uint64_t> left_out_{0};
};

}  // namespace narwhal
