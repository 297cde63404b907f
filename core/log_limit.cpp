#include "core/log_limit.hpp"

#include <fmt/format.h>

#include <iterator>

namespace narwhal {

bool LogLimit::admits(Instant now) noexcept {
  Instant began = began_.load(std::memory_order_relaxed);
  if (now - began >= std::chrono::seconds{1} && began_.compare_exchange_strong(began, now)) count_ = 0;
  if (count_.fetch_add(1, std::memory_order_relaxed) < most_) return true;
  left_out_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

void LogLimit::write(LogLevel level, fmt::string_view format, fmt::format_args arguments) noexcept try {
  const std::uint64_t left_out = take_left_out();
  if (left_out == 0) return log::write_formatted(level, format, arguments);
  fmt::memory_buffer text;
  fmt::vformat_to(std::back_inserter(text), format, arguments);
  fmt::format_to(std::back_inserter(text), " ({} more such line{} left out)", left_out,
                 left_out == 1 ? " was" : "s were");
  log::write(level, {text.data(), text.size()});
} catch (...) {
  log::write_formatted(level, format, arguments);
}

}  // namespace narwhal
