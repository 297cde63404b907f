// Backoff: when to try again after something died young. Pure: the clock and the dice are the caller's.
#pragma once

#include <algorithm>
#include <cstdint>

namespace narwhal::server {

class Backoff {
 public:
  static constexpr std::uint64_t first_ns = 100'000'000;       // 100 ms
  static constexpr std::uint64_t longest_ns = 30'000'000'000;  // 30 s
  // A process that lived this long did not die of its boot.
  static constexpr std::uint64_t long_life_ns = 10'000'000'000;

  // One more died young: how long to wait. `dice` is any random number. Spread by up to a quarter, so that
  // several workers that wait for the same broken database do not come back in step.
  std::uint64_t failed(std::uint32_t dice) noexcept {
    const std::uint64_t doubled = first_ns << std::min(failures_, 20u);
    ++failures_;
    const std::uint64_t delay = std::min(doubled, longest_ns);
    return delay - delay / 4 * (dice % 1024) / 1024;
  }
  void recovered() noexcept { failures_ = 0; }
  unsigned failures() const noexcept { return failures_; }

 private:
  unsigned failures_ = 0;
};

}  // namespace narwhal::server
