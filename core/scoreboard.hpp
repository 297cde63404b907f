// Scoreboard: what every worker is doing, in one shared mapping made by the master before any fork. It is the
// heartbeat, the source of the metrics, and the answer to "what was it doing when it died".
// Ownership  one slot belongs to one worker process at a time, which writes it. While no worker owns a slot, the master
//            clears it and sets `generation`. Atomics, but for the fields of Running that its sequence number guards.
// Threads    each handler thread writes its own Running record; the loop writes everything else.
// Trust      a worker runs plugin code, which may have overwritten any value: readers trust none.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/clock.hpp"
#include "core/config.hpp"
#include "core/fd.hpp"
#include "core/number_table.hpp"
#include "core/poison_table.hpp"
#include "core/result.hpp"

namespace narwhal {

enum class WorkerState : std::uint32_t { empty, booting, ready, serving, draining };

// ThreadSanitizer sees nothing between processes, and GCC warns that it does not support fences: it gets none.
inline void fence([[maybe_unused]] std::memory_order order) noexcept {
#if defined(__SANITIZE_THREAD__)
  std::atomic_signal_fence(order);
#else
  std::atomic_thread_fence(order);
#endif
}

// A request that a handler thread runs now, or that is deferred (a seqlock). `sequence` is odd while begin() writes: a reader
// that saw the same even number before and after has a consistent copy. A thread that died while writing leaves it odd.
struct Running {
  static constexpr std::size_t target_bytes_max = 200;
  static constexpr Instant idle = unset;
  std::atomic<Instant> started{idle};
  std::atomic<std::uint32_t> thread_id{0};  // gettid()
  std::atomic<std::uint32_t> sequence{0};
  std::uint16_t route = 0;        // index in Config::routes
  std::uint16_t method_size = 0;  // cut to sizeof method
  std::uint16_t target_size = 0;  // cut to target_bytes_max
  char method[22];
  char target[target_bytes_max];

  // On the path of every request: a few plain stores and two short copies.
  void begin(std::string_view method_text, std::string_view target_text, std::uint16_t route_index,
             Instant now) noexcept {
    const std::uint32_t odd = sequence.load(std::memory_order_relaxed) | 1u;
    sequence.store(odd, std::memory_order_relaxed);
    fence(std::memory_order_release);
    route = route_index;
    method_size = static_cast<std::uint16_t>(method_text.copy(method, sizeof method));
    target_size = static_cast<std::uint16_t>(target_text.copy(target, target_bytes_max));
    started.store(now, std::memory_order_relaxed);
    sequence.store(odd + 1, std::memory_order_release);
  }
  void end() noexcept { started.store(idle, std::memory_order_relaxed); }
};

// The requests of one route that were answered.
struct RouteCounters {
  static constexpr std::size_t buckets = 32;      // of latencies
  std::atomic<std::uint64_t> status_class[6]{};   // by the first digit of the status; [0]: no answer
  std::atomic<std::uint64_t> latency[buckets]{};  // bucket i counts requests under 2^i microseconds, not under 2^(i-1)
  std::atomic<std::uint64_t> microseconds{0};     // in total
};

struct WorkerSlot {
  static constexpr std::size_t threads_max = 256;
  static constexpr std::size_t routes_max = 32;
  static constexpr std::size_t deferred_max = 64;
  // The last entry is for requests without a route, and for routes that have no entry of their own.
  static constexpr std::size_t entry_of(std::size_t route) noexcept {
    return route < routes_max - 1 ? route : routes_max - 1;
  }

  // Written by the master before the worker is forked, and by the worker.
  std::atomic<std::uint64_t> generation{0};
  // Written by the worker.
  std::atomic<std::int32_t> pid{0};
  std::atomic<WorkerState> state{WorkerState::empty};
  std::atomic<bool> has_changed_code{false};    // its files are not those of the generation's first worker
  std::atomic<Instant> heartbeat{unset};        // the loop's last turn
  std::atomic<std::uint32_t> connections{0};    // open now
  std::atomic<std::uint32_t> busy{0};           // handlers running now
  std::atomic<std::uint32_t> waiting{0};        // complete requests without a handler
  std::atomic<std::uint32_t> free_handlers{0};  // siblings read it before they accept
  std::atomic<std::uint64_t> accepted{0};       // connections in total
  std::atomic<std::uint64_t> not_accepted{0};   // failures of accept(): no descriptors or no memory left
  std::atomic<std::uint64_t> requests{0};       // answered, with any status
  std::atomic<std::uint64_t> refused{0};        // by the decoder
  std::atomic<std::uint64_t> overloaded{0};     // 503 because the queue was full
  std::atomic<std::uint64_t> timed_out{0};      // 504
  std::atomic<std::uint64_t> poisoned{0};       // 503 because workers have died in such requests
  std::atomic<std::uint64_t> bytes_in{0}, bytes_out{0};
  std::atomic<std::uint64_t> log_dropped{0};     // lines of error log and access log
  std::atomic<std::uint64_t> log_unreported{0};  // of them, those that the error log does not mention yet
  // gettid() of the thread at fault: that a signal of its own ended, or whose handler kept the loop until the master ended
  // the worker; in_no_request: the fault was in no request; 0: unknown.
  static constexpr std::uint32_t in_no_request = ~std::uint32_t{0};
  std::atomic<std::uint32_t> crashed_thread{0};
  std::atomic<Instant> oldest_waiting{unset};  // when the request came that waits longest for a handler; looked at four
                                               // times a second
  RouteCounters routes[routes_max];
  Running running[threads_max];
  // Requests that plugins have deferred and not finished. Of more than deferred_max some are only counted.
  std::atomic<std::uint32_t> deferred_count{0};
  Running deferred[deferred_max];
};

// A request that a handler thread was running, or that was deferred, as a reader has found it.
struct RunningRequest {
  Instant started;
  bool is_deferred = false;
  std::uint32_t thread_id = 0;
  std::uint16_t route = 0;
  std::string method, target;  // cut, and not escaped
};

class Scoreboard {
 public:
  static constexpr std::size_t slots_max = 1024;  // workers of all generations together
  static Result<Scoreboard> create();             // pages are committed only when touched
  // The same slots in another program, which has inherited descriptor() of the first.
  static Result<Scoreboard> attach(Fd descriptor);
  Scoreboard(Scoreboard&& other) noexcept;
  Scoreboard& operator=(Scoreboard&&) = delete;
  ~Scoreboard();

  int descriptor() const noexcept { return descriptor_.get(); }
  WorkerSlot& slot(std::size_t index) noexcept;
  const WorkerSlot& slot(std::size_t index) const noexcept;
  PoisonTable& poison() noexcept;
  NumberTable& numbers() noexcept;
  const NumberTable& numbers() const noexcept;
  NumberTable::Gauges& gauges(std::size_t index) noexcept;  // of the worker in this slot
  const NumberTable::Gauges& gauges(std::size_t index) const noexcept;
  // Back to all zeros, for the next worker. Master only, after the last owner was reaped.
  void clear(std::size_t index) noexcept;
  // The requests that ran in this slot; if the thread at fault is known, only its own. `routes`: of its generation.
  struct Suspect {
    std::string text;  // as in the PoisonTable
    std::uint16_t route;
    Instant started;
  };
  std::vector<Suspect> suspects(std::size_t index, std::span<const Route> routes = {}) const;
  // What handler threads run in this slot now, oldest first. `threads`: how many records to look at.
  std::vector<RunningRequest> running(std::size_t index, std::size_t threads = WorkerSlot::threads_max) const;
  // "GET /slow (route /, 31.2 s); POST /x (...); GET /events (route /, deferred, 9.1 s)": what ran in this slot, oldest
  // first, then what was deferred, for the log. Empty if nothing was. `routes` are those of the slot's generation; a route
  // that is not in them is shown by its number.
  std::string running_text(std::size_t index, Instant now, std::span<const Route> routes = {}) const;

 private:
  Scoreboard(Fd descriptor, WorkerSlot* slots) noexcept : descriptor_(std::move(descriptor)), slots_(slots) {}
  Fd descriptor_;  // of the memory
  WorkerSlot* slots_;
};

}  // namespace narwhal
