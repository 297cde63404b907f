// Pace: whether bytes that should be moving do so at min_rate, looked at over windows of half a minute. Silence has
// limits of its own; this is for the peer that sends or takes a byte now and then to stay for ever.
// Units    milliseconds of the loop's clock, bytes.
// Threads  whoever holds the baton.
#pragma once

#include <cstddef>
#include <cstdint>

namespace narwhal::worker {

class Pace {
 public:
  static constexpr std::uint64_t window_ms = 30'000;

  void start(std::uint64_t now_ms, std::uint64_t bytes = 0) noexcept {
    window_start_ms_ = now_ms;
    bytes_at_start_ = bytes;
  }
  // `bytes`: moved so far, a number that only grows. `min_rate`: bytes a second; 0: any pace will do.
  bool too_slow(std::uint64_t now_ms, std::uint64_t bytes, std::size_t min_rate) noexcept {
    if (now_ms - window_start_ms_ < window_ms) return false;
    const bool slow = bytes - bytes_at_start_ < min_rate * (window_ms / 1000);
    start(now_ms, bytes);
    return slow;
  }

 private:
  std::uint64_t window_start_ms_ = 0, bytes_at_start_ = 0;
};

}  // namespace narwhal::worker
