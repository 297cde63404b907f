// Counters: what this worker has done, added up on the scoreboard.
// Units    connections, requests, bytes; how long requests took, as powers of two of microseconds.
// Threads  the holder of the baton. It is the slot's only writer, so a plain load and store is enough, without the bus lock
//          of an atomic addition. Anybody reads.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "core/clock.hpp"
#include "core/scoreboard.hpp"

namespace narwhal::worker {

class Counters {
 public:
  explicit Counters(WorkerSlot& slot) noexcept : slot_(slot) {}  // which outlives this

  void connection_accepted() noexcept { add(slot_.accepted); }
  void connection_not_accepted() noexcept { add(slot_.not_accepted); }  // for want of descriptors or memory
  void bytes_received(std::size_t bytes) noexcept { add(slot_.bytes_in, bytes); }
  void bytes_sent(std::size_t bytes) noexcept { add(slot_.bytes_out, bytes); }
  void request_refused() noexcept { add(slot_.refused); }        // not valid, or over a limit
  void request_overloaded() noexcept { add(slot_.overloaded); }  // no room in the queue: 503
  void request_poisoned() noexcept { add(slot_.poisoned); }      // workers have died in such requests: 503
  void request_timed_out() noexcept { add(slot_.timed_out); }    // its handler passed `timeout`
  // `route`: its index in Config::routes, or no_route.
  static constexpr std::size_t no_route = WorkerSlot::routes_max;
  void request_answered(int status, std::size_t route, Instant started, Instant now) noexcept {
    using namespace std::chrono_literals;
    RouteCounters& counters = slot_.routes[WorkerSlot::entry_of(route)];
    add(slot_.requests);
    add(counters.status_class[status / 100 % 6]);
    const auto microseconds = static_cast<std::uint64_t>(now > started ? (now - started) / 1us : 0);
    const unsigned bucket = 64 - static_cast<unsigned>(__builtin_clzll(microseconds | 1));
    add(counters.latency[std::min<unsigned>(bucket, RouteCounters::buckets - 1)]);
    add(counters.microseconds, microseconds);
  }
  // What Gunicorn counts: not those that were refused, or answered 503 in place of a handler.
  std::int64_t requests_handled() const noexcept {
    return static_cast<std::int64_t>(value(slot_.requests) - value(slot_.refused) - value(slot_.overloaded) -
                                     value(slot_.poisoned));
  }

 private:
  static std::uint64_t value(const std::atomic<std::uint64_t>& counter) noexcept {
    return counter.load(std::memory_order_relaxed);
  }
  static void add(std::atomic<std::uint64_t>& counter, std::uint64_t amount = 1) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }

  WorkerSlot& slot_;
};

}  // namespace narwhal::worker
