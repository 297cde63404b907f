// Loop: the event loop of one worker, and all that lives in it: sockets, timers, buffers, exchanges. It begins with the
// worker's set-up, accepts when the master says so, and ends when it was retired and nothing is left to do.
// Ownership  everything it hands out by reference is its own and lives as long as the process.
// Errors     set-up throws StartupError. What a peer or an application does wrong ends one request or connection.
// Threads    everything is for the holder of the baton, except where it says otherwise.
#pragma once

#include <uv.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string_view>
#include <vector>

#include "core/clock.hpp"
#include "core/scoreboard.hpp"
#include "core/seat.hpp"
#include "worker/acceptor.hpp"
#include "worker/buffers.hpp"
#include "worker/connection_pool.hpp"
#include "worker/counters.hpp"
#include "worker/crew.hpp"
#include "worker/date_cache.hpp"
#include "worker/deadlines.hpp"
#include "worker/dispatcher.hpp"
#include "worker/exchange_pool.hpp"
#include "worker/loop_calls.hpp"
#include "worker/mounts.hpp"
#include "worker/posts.hpp"
#include "worker/proxy_policy.hpp"
#include "worker/recycling.hpp"
#include "worker/wheel.hpp"
#include "worker/worker_logs.hpp"

namespace narwhal::worker {

class Loop {
 public:
  Loop(const Seat& seat, std::vector<std::unique_ptr<Mount>> mounts);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // ---- the worker's life ----
  void begin_accepting();  // also after Acceptor::withhold()
  // No new connections; requests in hand finish; after graceful_timeout the rest is dropped.
  void retire(Backlog backlog);
  bool retiring() const noexcept { return retiring_.load(std::memory_order_relaxed); }  // any thread
  // Shortens a retirement. `passed` is for the log if connections are dropped then: "graceful_timeout has passed".
  void leave_within(std::chrono::seconds limit, const char* passed) noexcept;
  void quit();  // drops everything, at once
  friend bool left_at_once() noexcept;
  bool stopped() const noexcept { return stopped_; }  // nothing is waited for any more
  // It is retired, and its connections are closed or not waited for.
  bool may_leave() const noexcept { return retiring() && (connections_.count() == 0 || stopped_); }
  [[noreturn]] void leave_at_once();  // without the handlers that do not return

  // ---- what it is made of ----
  uv_loop_t* uv() noexcept { return &uv_; }
  const Config& config() const noexcept { return generation_->config; }  // any thread
  WorkerSlot& slot() noexcept { return slot_; }                          // any thread
  const Mounts& mounts() const noexcept { return mounts_; }              // any thread
  Crew& crew() noexcept { return crew_; }                                // any thread
  Posts& posts() noexcept { return posts_; }                             // any thread
  Dispatcher& dispatcher() noexcept { return dispatcher_; }
  Acceptor& acceptor() noexcept { return acceptor_; }
  ConnectionPool& connections() noexcept { return connections_; }
  ExchangePool& exchanges() noexcept { return exchanges_; }
  BufferPool& buffers() noexcept { return buffers_; }
  Counters& counters() noexcept { return counters_; }
  Deadlines& deadlines() noexcept { return deadlines_; }
  Recycling& recycling() noexcept { return recycling_; }
  ProxyPolicy& proxy_policy() noexcept { return proxy_policy_; }
  Wheel& wheel() noexcept { return wheel_; }
  std::vector<Segment>& segments() noexcept { return segments_; }  // for one answer at a time
  char* scratch() noexcept { return scratch_.get(); }
  static constexpr std::size_t scratch_bytes = 256 * 1024;
  static void drop_buffer(void* buffer) noexcept;  // to the pool of this process's loop

  // ---- time ----
  void run_events(uv_run_mode mode);                                                   // one turn
  Instant now() noexcept { return Instant(std::chrono::milliseconds(uv_now(&uv_))); }  // when the turn began
  // About now: read once a turn, and when a handler has returned.
  Instant turn_time() noexcept { return turn_time_ != unset ? turn_time_ : refresh_turn_time(); }
  Instant refresh_turn_time() noexcept { return turn_time_ = narwhal::now(); }
  // A handler that holds the loop, and was called at `since`, should turn it before it goes on: as late as the standby
  // thread would take it over. Not after many short ones: what waits is better served by the next of them.
  bool overdue(Instant since, Instant now) noexcept {
    return std::max(this->now(), since) + std::chrono::milliseconds{2} < now;
  }
  std::string_view date() const noexcept { return dates_.text(); }  // any thread
  static constexpr std::chrono::milliseconds retired_grace{1'500};  // for idle connections of a retired worker

  // ---- what is shown of it ----
  void record_answer(const Exchange& exchange, const Answered& answered);  // in the counters and the access log
  WorkerLogs& logs() noexcept { return logs_; }
  void publish_load();              // on the scoreboard, for siblings
  void name_unfinished() noexcept;  // in the log, once: requests that their plugins have not finished

 private:
  void tick();

  std::shared_ptr<const Generation> generation_;
  WorkerSlot& slot_;
  Mounts mounts_;
  Counters counters_;
  WorkerLogs logs_;
  ConnectionPool connections_;
  BufferPool buffers_;
  ExchangePool exchanges_;
  Dispatcher dispatcher_;
  Crew crew_;
  Posts posts_;
  LoopCalls calls_;  // of plugins
  Deadlines deadlines_;
  Recycling recycling_;
  uv_loop_t uv_{};
  uv_timer_t timer_{};
  Wheel wheel_;
  ProxyPolicy proxy_policy_;
  Acceptor acceptor_;
  DateCache dates_;
  std::unique_ptr<char[]> scratch_;
  std::vector<Segment> segments_;

  Instant turn_time_ = unset;
  Instant quit_at_ = never;  // when retiring ends for all
  const char* quit_reason_ = "";
  std::atomic<bool> retiring_{false};
  bool has_begun_ = false;
  bool quitting_ = false, stopped_ = false, has_named_unfinished_ = false;
};

// Whether this process's loop was ordered to leave at once. For the main thread, after the last request.
bool left_at_once() noexcept;

}  // namespace narwhal::worker
