// Pace: whether bytes that should be moving do so at min_rate, looked at over windows of half a minute. Silence has
// limits of its own; this is for a peer that sends or takes a byte now and then so as to stay connected for ever.
// Clock    the caller's: the loop's, or one that only runs while a handler waits.
// Threads  the holder of the baton.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "core/clock.hpp"

namespace narwhal::worker {

class Pace {
 public:
  static constexpr std::chrono::seconds window{30};

  void start(Instant now, std::uint64_t bytes = 0) noexcept {
    window_start_ = now;
    bytes_at_start_ = bytes;
  }
  // `bytes`: moved so far, a number that only grows. `min_rate`: bytes a second; 0: no limit.
  bool too_slow(Instant now, std::uint64_t bytes, std::size_t min_rate) noexcept {
    if (now - window_start_ < window) return false;
    const bool slow = bytes - bytes_at_start_ < min_rate * static_cast<std::size_t>(window.count());
    start(now, bytes);
    return slow;
  }

 private:
  Instant window_start_ = unset;
  std::uint64_t bytes_at_start_ = 0;
};

}  // namespace narwhal::worker
