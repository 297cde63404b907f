// Loop: what the holder of the baton tends. It owns every socket, timer, buffer and exchange of the worker, and
// takes part in every request: connections bring it complete requests, the crew runs their handlers, and it
// sees their answers off.
// Threads  everything is for the holder of the baton, except where it says otherwise.
#pragma once

#include <uv.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/clock.hpp"
#include "core/scoreboard.hpp"
#include "core/seat.hpp"
#include "worker/acceptor.hpp"
#include "worker/access_log.hpp"
#include "worker/buffers.hpp"
#include "worker/connection.hpp"
#include "worker/crew.hpp"
#include "worker/exchange.hpp"
#include "worker/list.hpp"
#include "worker/plugin.hpp"
#include "worker/proxy_policy.hpp"
#include "worker/wheel.hpp"

namespace narwhal::worker {

class Loop final : public Crew::Work {
 public:
  Loop(const Seat& seat, std::vector<std::unique_ptr<Mount>> mounts);
  ~Loop() override;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  Crew& crew() noexcept { return crew_; }  // any thread
  uv_loop_t* uv() noexcept { return &uv_; }
  const Config& config() const noexcept { return generation_->config; }  // any thread
  WorkerSlot& slot() noexcept { return slot_; }                          // any thread
  const std::vector<std::unique_ptr<Mount>>& mounts() const noexcept { return mounts_; }

  void begin_accepting();
  // No new connections; what is in hand finishes; after graceful_timeout what is left is dropped.
  // `sweep`: nobody takes over the listeners, so take what waits in their queues first.
  void retire(bool sweep);
  bool retiring() const noexcept { return retiring_.load(std::memory_order_relaxed); }  // any thread
  void quit();                                                                          // at once
  void follow(Order which, const Fd& log);                      // error_log or access_log: it has been reopened
  void leave_within(std::chrono::milliseconds limit) noexcept;  // shortens a retirement
  // A request went past its deadline and its handler is still at it: told once.
  void (*on_stuck)(void* context) = nullptr;
  void* stuck_context = nullptr;

  // ---- for connections ----
  ProxyPolicy& proxy_policy() noexcept { return proxy_policy_; }
  const LocalAddress& local_address(std::size_t listener) const noexcept {
    return acceptor_.local_address(listener);
  }  // any thread
  BufferPool& pool() noexcept { return pool_; }
  Wheel& wheel() noexcept { return wheel_; }
  std::vector<Segment>& segments() noexcept { return segments_; }  // for one answer at a time
  char* scratch() noexcept { return scratch_.get(); }
  static constexpr std::size_t scratch_bytes = 256 * 1024;
  Instant now() noexcept { return Instant(std::chrono::milliseconds(uv_now(&uv_))); }  // when this turn began
  // A handler that holds the loop, and was called at `since`, should turn it before it goes on: as late as the standby
  // thread would take it over. Not after many short ones: what waits is better served by the next of them.
  bool overdue(Instant since, Instant now) noexcept {
    return std::max(this->now(), since) + std::chrono::milliseconds{2} < now;
  }
  Exchange* new_exchange(Connection& connection);  // throws std::bad_alloc, as new_connection() does
  // Handlers that have nothing to do, and will not have once what is ready was handed out.
  unsigned free_handlers() const noexcept {
    const unsigned free = crew_.free_handlers();
    return free > ready_count_ ? free - ready_count_ : 0;
  }
  Mount* route(const protocol::Head& head) noexcept;
  // Its request is complete: it will be handled, or refused at once for want of room.
  void make_ready(Exchange& exchange);
  void log_access(const Exchange& exchange, const Answered& answered, Instant now) noexcept;
  void count_refused() noexcept;
  void count_in(std::size_t bytes) noexcept;
  void count_out(std::size_t bytes) noexcept;
  static constexpr std::chrono::milliseconds retired_grace{1'500};  // for idle connections of a retired worker
  // The client is gone, or was answered by the host: the handler's answer is not wanted any more.
  void abandon(Exchange& exchange);
  void count_answer(int status, Instant started, Instant now);
  void retire_exchange(Exchange& exchange);  // back to the pool, once nobody can touch it any more
  void unflushed(Connection& connection);
  // Requests wait while handlers take their time: answers are held back for a moment, to leave together.
  bool gathers_answers() const noexcept {
    return slow_enough_ && (ready_count_ != 0 || !readable_.empty() || crew_.waiting() != 0);
  }
  void readable(Connection& connection);
  void unwatched(Connection& connection);
  Connection* new_connection(const struct Peer& peer);
  void free_connection(Connection* connection) noexcept;
  void connection_gone() noexcept;
  unsigned connections() const noexcept { return connections_; }
  std::string_view date() const noexcept {
    return {date_.load(std::memory_order_acquire), protocol::date_bytes};
  }                              // any thread
  Instant turn_time() noexcept;  // about now, read once a turn

  // ---- any thread ----
  void post(Exchange& exchange);          // it has something for the loop
  void post_marked(Exchange& exchange);   // the same, `posted` being set by the caller
  static void drop_buffer(void* buffer);  // [baton] of this thread's loop

  // ---- the crew's work ----
  void turn(Turn turn) override;
  Exchange* next_ready() override;
  void put_back(Task& task) override;
  void settle() override;
  bool finished() override;
  void completed(Task& task, int result) override;
  int handle(Task& task, unsigned member, Place place) noexcept override;
  bool is_inline(const Task& task) override { return exchange_of(task).mount->is_inline(); }
  bool expected_slow(const Task& task) override { return exchange_of(task).mount->usual > Mount::slow; }
  void wake() noexcept override { uv_async_send(&wakeup_); }
  bool thread_started(unsigned member) override;
  void thread_ends(unsigned member) override;

 private:
  friend class Acceptor;
  void cancel(Exchange& exchange);
  template <class Connections>
  Connection* take_open(Connections& list, bool Connection::*listed);
  Exchange* take_ready();
  void tick();
  void see_answer(Exchange& exchange, Push push);
  void leave_at_once();
  void take_posts();
  void check_deadlines(Instant now);
  void pass_deadline(Exchange& exchange, Instant now);
  void refresh_date();
  void relieve();
  void flush_held();
  void publish();
  void close_all();

  std::shared_ptr<const Generation> generation_;
  WorkerSlot& slot_;
  std::vector<std::unique_ptr<Mount>> mounts_;  // longest prefix first
  Crew crew_;

  uv_loop_t uv_{};
  uv_async_t wakeup_{};
  uv_timer_t timer_{};
  uv_timer_t relief_{};
  Wheel wheel_;
  BufferPool pool_;
  ProxyPolicy proxy_policy_;
  Acceptor acceptor_;
  AccessLog access_log_;
  std::unique_ptr<char[]> scratch_;
  std::vector<Segment> segments_;
  std::vector<Connection*> spare_connections_;

  Exchange* spare_exchanges_ = nullptr;
  std::vector<std::unique_ptr<Exchange>> exchanges_;  // all there are
  std::vector<std::atomic<Exchange*>> current_;       // by crew member: what its handler is at
  List<Exchange, &Exchange::next> ready_;
  unsigned ready_count_ = 0;
  List<Connection, &Connection::next_readable> readable_;    // sockets with something to read
  List<Connection, &Connection::next_unflushed> unflushed_;  // that hold answers back
  List<Connection, &Connection::next_unwatched> unwatched_;  // that the kernel has still to be asked to watch

  std::atomic<bool> any_posts_{false};
  std::mutex posts_mutex_;  // guards posts_
  List<Exchange, &Exchange::next_posted> posts_;

  char dates_[4][protocol::date_bytes];
  unsigned date_index_ = 0;
  std::int64_t date_second_ = 0;
  std::atomic<const char*> date_{dates_[0]};

  unsigned connections_ = 0;
  unsigned stuck_ = 0;
  Instant turn_time_ = unset;
  Instant held_since_ = unset;  // the oldest answer that was held back for others; unset: none
  bool slow_enough_ = false;    // the handler that ran last, to gather answers
  Instant quit_at_ = never;     // when retiring ends for all
  std::atomic<bool> retiring_{false};
  bool quitting_ = false, stopped_ = false;
};

}  // namespace narwhal::worker
