// HandlerTimes: when a request's handler was called and has returned, and how long it kept its thread from the loop.
// Threads  the loop's until the handler is called, then the handler's, and the loop's again when it has returned.
#pragma once

#include <algorithm>
#include <chrono>

#include "core/clock.hpp"

namespace narwhal::worker {

class HandlerTimes {
 public:
  Instant called = unset;
  Instant returned = unset;  // on a thread without the baton; else unset

  // The loop had a chance to go on: it was taken over, or turned by the handler itself.
  void reach_loop(Instant now) noexcept {
    longest_stretch_ = longest_stretch(now);
    reached_loop_ = now;
  }
  // The same after a wait, which is not a stretch of the handler's.
  void reach_loop_after_wait(Instant now) noexcept { reached_loop_ = now; }
  // The longest time without that, up to `end`.
  std::chrono::nanoseconds longest_stretch(Instant end) const noexcept {
    return std::max(longest_stretch_, end - std::max(called, reached_loop_));
  }

 private:
  Instant reached_loop_ = unset;
  std::chrono::nanoseconds longest_stretch_{0};
};

}  // namespace narwhal::worker
