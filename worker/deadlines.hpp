// Deadlines: the settings `timeout` and `soft_timeout`, for one request in its handler.
// timeout       the request is logged, its client is answered 504, and its thread logs its stack. The worker is reported as
//               stuck, so that the master starts another.
// soft_timeout  the request is logged once, and its thread logs its stack: nothing else happens. One a second in each
//               worker; others are counted.
// Not counted  the time that a handler waits for its client: body_timeout, write_timeout and min_rate bound that.
// Threads      enter() and leave(): the handler's. The rest: the holder of the baton.
#pragma once

#include <atomic>
#include <vector>

#include "core/clock.hpp"
#include "worker/exchange.hpp"

namespace narwhal::worker {

class Deadlines {
 public:
  // `loop` has its mounts.
  Deadlines(Loop& loop, unsigned members);

  // What the crew's member of that index has in its handler; from enter() to leave().
  void enter(unsigned member, Exchange& exchange) noexcept {
    current_[member].store(&exchange, std::memory_order_release);
  }
  void leave(unsigned member) noexcept { current_[member].store(nullptr, std::memory_order_release); }

  void check(Instant now);
  // The handler of an exchange that had passed its deadline has returned.
  void stuck_returned() noexcept { --stuck_; }
  // Handlers that are past their deadline.
  unsigned stuck() const noexcept { return stuck_; }

  // Called when a handler gets stuck and no other is.
  void (*on_stuck)(void* context) = nullptr;
  void* stuck_context = nullptr;

 private:
  void check_handler(std::size_t member, Instant now);
  void check_deferred(Exchange& exchange, Instant now);
  void pass(Exchange& exchange, Instant now);
  bool pass_softly(Exchange& exchange, Instant now);
  void log_unnamed(Instant now);

  Loop& loop_;
  std::vector<std::atomic<Exchange*>> current_;  // by crew member
  bool has_limits_ = false;
  unsigned stuck_ = 0;
  unsigned unnamed_ = 0;            // slow requests that were only counted
  Instant next_slow_line_ = unset;  // until then they are
};

}  // namespace narwhal::worker
