// ClockWatch: notices that somebody has set the system clock, because the times in the log do not explain themselves then.
// Nothing in the server waits by that clock. Pure: the caller reads the clocks.
#pragma once

#include <chrono>
#include <optional>

#include "core/clock.hpp"

namespace narwhal::server {

class ClockWatch {
 public:
  // Shorter steps are what time services correct all the time.
  static constexpr std::chrono::seconds least{1};

  // By how much it was set since the last call, forward or back (negative); nullopt: it was not. `wall`: the system clock
  // at the moment `now`.
  std::optional<std::chrono::nanoseconds> look(std::chrono::nanoseconds wall, Instant now) noexcept {
    const std::chrono::nanoseconds offset = wall - now.time_since_epoch();
    const std::chrono::nanoseconds step = offset_ ? offset - *offset_ : std::chrono::nanoseconds::zero();
    offset_ = offset;
    if (std::chrono::abs(step) < least) return std::nullopt;
    return step;
  }

 private:
  std::optional<std::chrono::nanoseconds> offset_;
};

}  // namespace narwhal::server
