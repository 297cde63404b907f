// Recycling: when this worker asks to be replaced by a new one, because it has passed max_requests, max_worker_memory or
// max_worker_lifetime, or because a plugin wants it. It serves until the master retires it, which is when its successor serves.
// Units    answered requests, bytes, nanoseconds.
// Cost     one comparison a turn of the loop when these are off. Memory is looked at forty times a second at most, age once
//          a tick.
// Threads  the holder of the baton.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "core/clock.hpp"
#include "core/config.hpp"
#include "worker/counters.hpp"

namespace narwhal::worker {

// What one worker may do before it is replaced; drawn once, when it begins.
struct LifeLimits {
  static constexpr std::int64_t off = std::numeric_limits<std::int64_t>::max();
  std::int64_t requests = off, memory = off;
  std::chrono::nanoseconds age{off};
};

// The number of requests varies upwards, by max_requests_jitter at most. The lifetime varies downwards, by a tenth at
// most: the workers of one generation have the same age. `dice`: any two random numbers.
LifeLimits draw_limits(const Config& config, std::uint32_t request_dice, std::uint32_t age_dice) noexcept;

// What one worker has done and uses.
struct LifeUse {
  std::int64_t requests = 0, memory = 0;
  std::chrono::nanoseconds age{};
};

// The first limit that has been passed, as the middle of a sentence for the log: "has answered 20 requests
// (max_requests: 20)".
std::optional<std::string> passed_limit(const LifeUse& use, const LifeLimits& limits, const Config& config);

class Recycling {
 public:
  Recycling(const Config& config, const Counters& counters) noexcept;  // both outlive it

  // The worker accepts from now on.
  void begin(Instant now);
  // It is retired: there is nothing to ask for any more.
  void end() noexcept;
  // A plugin asks for a new worker in place of this one. Any thread; noticed by the next tick.
  static void ask() noexcept { asked_.store(true, std::memory_order_relaxed); }
  // False while after_turn() has nothing to do. Asked first, because reading the clock is a call too.
  bool watches_turns() const noexcept { return watches_turns_; }
  void after_turn(Instant now);
  void tick(Instant now);

  // Reports to the master. False if that has to be tried again.
  bool (*on_expired)(void* context) = nullptr;
  void* expired_context = nullptr;

 private:
  void set_limits(const LifeLimits& limits) noexcept;
  std::int64_t measure_memory(Instant now);
  void expire(const std::string& why);
  void report();

  const Config& config_;
  const Counters& counters_;
  LifeLimits limits_{};
  bool watches_turns_ = false;
  Instant began_ = unset;
  Instant memory_due_ = unset;
  bool unreported_ = false;
  bool may_ask_ = false;  // it accepts, and has not expired
  static std::atomic<bool> asked_;
};

}  // namespace narwhal::worker
