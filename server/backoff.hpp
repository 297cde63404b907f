// Backoff: when to try again after a process died soon after its start. Pure: clock and random numbers come from the
// caller.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace narwhal::server {

class Backoff {
 public:
  static constexpr std::chrono::nanoseconds first = std::chrono::milliseconds{100}, longest = std::chrono::seconds{30};
  // A process that lived at least this long did not die because of its boot.
  static constexpr std::chrono::nanoseconds long_life = std::chrono::seconds{10};

  // One more died early: how long to wait. `dice` is any random number. It varies the delay by up to a quarter, so that
  // several workers that wait for the same broken database do not all return at once.
  std::chrono::nanoseconds failed(std::uint32_t dice) noexcept {
    const auto doubled = first * (1 << std::min(failures_, 20u));
    ++failures_;
    const auto delay = std::min(doubled, longest);
    return delay - delay / 4 * (dice % 1024) / 1024;
  }
  void recovered() noexcept { failures_ = 0; }
  unsigned failures() const noexcept { return failures_; }

 private:
  unsigned failures_ = 0;
};

}  // namespace narwhal::server
