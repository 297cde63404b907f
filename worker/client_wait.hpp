// ClientWait: how long a request's handler has waited for its client, to send more of the body or to take more of the
// response. body_timeout, write_timeout and min_rate bound that; `timeout` is for what the handler does itself.
// Threads  begin() and end(): the one that waits. total_ns(): any; it may be late by what has just begun or ended.
#pragma once

#include <atomic>
#include <cstdint>

namespace narwhal::worker {

class ClientWait {
 public:
  void reset() noexcept {
    since_ns_.store(0, relaxed);
    total_ns_.store(0, relaxed);
  }
  void begin(std::uint64_t now_ns) noexcept { since_ns_.store(now_ns, relaxed); }
  void end(std::uint64_t now_ns) noexcept {
    const std::uint64_t since = since_ns_.load(relaxed);
    if (since != 0) total_ns_.fetch_add(now_ns - since, relaxed);
    since_ns_.store(0, relaxed);
  }
  std::uint64_t total_ns(std::uint64_t now_ns) const noexcept {
    const std::uint64_t since = since_ns_.load(relaxed);
    return total_ns_.load(relaxed) + (since != 0 && since < now_ns ? now_ns - since : 0);
  }

 private:
  static constexpr auto relaxed = std::memory_order_relaxed;
  std::atomic<std::uint64_t> since_ns_{0}, total_ns_{0};
};

}  // namespace narwhal::worker
