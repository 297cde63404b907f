// Deadlines: the setting `timeout`, for one request in its handler. A request that passes it is logged, its client is
// answered 504, and its thread logs its stack. The worker is reported as stuck, so that the master starts another.
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
  Deadlines(Loop& loop, unsigned members) : loop_(loop), current_(members) {}

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
  void check_handlers(Instant now, std::chrono::nanoseconds limit);
  void check_deferred(Instant now, std::chrono::nanoseconds limit);
  void pass(Exchange& exchange, Instant now);

  Loop& loop_;
  std::vector<std::atomic<Exchange*>> current_;  // by crew member
  unsigned stuck_ = 0;
};

}  // namespace narwhal::worker
