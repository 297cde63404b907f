// ClientWait: how long a request's handler has waited for its client, to send more of the body or to take more of the
// response. body_timeout, write_timeout and min_rate bound that; `timeout` is for what the handler does itself.
// Threads  begin(), end(): the one that waits. total(): any; it may be late by what has just begun or ended.
#pragma once

#include <atomic>
#include <chrono>

#include "core/clock.hpp"

namespace narwhal::worker {

class ClientWait {
 public:
  void reset() noexcept {
    since_.store(unset, relaxed);
    total_.store(total_.load(relaxed).zero(), relaxed);
  }
  void begin(Instant now) noexcept { since_.store(now, relaxed); }
  void end(Instant now) noexcept {
    total_.store(total(now), relaxed);
    since_.store(unset, relaxed);
  }
  std::chrono::nanoseconds total(Instant now) const noexcept {
    const Instant since = since_.load(relaxed);
    const std::chrono::nanoseconds before = total_.load(relaxed);
    return since != unset && since < now ? before + (now - since) : before;
  }

 private:
  static constexpr auto relaxed = std::memory_order_relaxed;
  std::atomic<Instant> since_{unset};
  std::atomic<std::chrono::nanoseconds> total_{std::chrono::nanoseconds::zero()};
};

}  // namespace narwhal::worker
