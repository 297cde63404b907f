// What the crew does its work on: which request is next, what its handler comes to, and when answers leave.
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "worker/connection.hpp"
#include "worker/counter.hpp"
#include "worker/crash.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

namespace {

constexpr std::chrono::milliseconds relief_every{5};  // how often waiting requests are offered to siblings
// To wake a client (or a proxy on this machine) for its answer costs as much as many a request, and while a handler takes
// its time, it falls asleep after each. So while others wait anyway, answers leave together. What is quicker than this
// keeps clients awake, and what is held back longer would be missed.
constexpr std::chrono::microseconds gathering_from{20}, gathering_for{500};
constexpr auto relaxed = std::memory_order_relaxed;

}  // namespace

void Loop::turn(Turn turn) {
  turn_time_ = unset;
  uv_run(&uv_, turn == Turn::waits ? UV_RUN_ONCE : UV_RUN_NOWAIT);
  slot_.heartbeat.store(now(), relaxed);
  refresh_date();
  take_posts();
}

// ---- which request is next ----

void Loop::make_ready(Exchange& exchange) {
  if (exchange.refusal == 0 && crew_.waiting() + ready_count_ >= config().queue_size + crew_.free_handlers() &&
      !exchange.mount->is_inline()) {
    count(slot_.overloaded, 1);
    exchange.refusal = 503;
  }
  if (exchange.out == nullptr) exchange.out = pool_.take();
  exchange.queued = true;
  ready_.add(exchange);
  ++ready_count_;
}

void Loop::readable(Connection& connection) {
  if (!std::exchange(connection.readable, true)) readable_.add(connection);
}

// The first that has not been closed since it was put there.
template <class Connections>
Connection* Loop::take_open(Connections& list, bool Connection::*listed) {
  while (Connection* const connection = list.take()) {
    connection->*listed = false;
    if (!connection->closed) return connection;
    free_connection(connection);
  }
  return nullptr;
}

// Reads sockets until there is one.
Exchange* Loop::take_ready() {
  while (true) {
    if (Exchange* const exchange = ready_.take()) {
      --ready_count_;
      exchange->queued = false;
      return exchange;
    }
    Connection* const connection = take_open(readable_, &Connection::readable);
    if (connection == nullptr) return nullptr;
    connection->read_now();
  }
}

Exchange* Loop::next_ready() {
  while (Exchange* const exchange = take_ready()) {
    if (exchange->gone()) {
      retire_exchange(*exchange);
    } else if (exchange->refusal != 0) {
      exchange->answer_refusal();
      exchange->connection->take_answer(*exchange, Push::now);
    } else {
      exchange->handled = true;
      exchange->handler_called = turn_time();
      return exchange;
    }
  }
  return nullptr;
}

void Loop::put_back(Task& task) {
  Exchange& exchange = exchange_of(task);
  exchange.handled = false;
  exchange.queued = true;
  ready_.put_back(exchange);
  ++ready_count_;
}

// Requests that have waited a while for a handler of this worker go to a sibling that has one to spare.
void Loop::relieve() {
  if (!acceptor_.siblings().look().any_free) return;
  Task::List waiting = crew_.take_waiting(), staying;
  const Instant now = narwhal::now();
  while (Task* const task = waiting.take()) {
    Exchange& exchange = exchange_of(*task);
    const bool waited = exchange.started + relief_every / 2 <= now;
    if (exchange.gone()) {
      retire_exchange(exchange);
    } else if (!waited || !exchange.connection->give_to_sibling(acceptor_.relay())) {
      staying.add(exchange);
    }
  }
  crew_.enqueue_again(staying);
}

// ---- what a handler comes to ----

int Loop::handle(Task& task, unsigned member, Place place) noexcept {
  Exchange& exchange = exchange_of(task);
  if (place.has_waited) exchange.handler_called = narwhal::now();
  if (exchange.gone()) return NARWHAL_OK;  // while it waited for a handler
  exchange.fill_request();
  current_[member].store(&exchange, std::memory_order_release);
  const int result = exchange.run(member);
  if (!place.with_baton) exchange.handler_returned = narwhal::now();
  current_[member].store(nullptr, std::memory_order_release);
  return result;
}

void Loop::completed(Task& task, int result) {
  Exchange& exchange = exchange_of(task);
  turn_time_ = narwhal::now();
  Mount& mount = *exchange.mount;
  // Not by when the loop hears of it: that may be late because the loop has to wait for a processor.
  const Instant end = exchange.handler_returned != unset ? exchange.handler_returned : turn_time_;
  const auto took = std::min(exchange.longest_stretch(end), Mount::slow_cut);
  mount.usual += (took - mount.usual) / 16;
  slow_enough_ = mount.usual > gathering_from;
  exchange.returned = true;
  if (exchange.timed_out) --stuck_;
  if (result == NARWHAL_DEFERRED && !exchange.finished_in_handler()) {
    exchange.deferred = true;
    // Its client left before we knew that this one is deferred.
    const bool left = exchange.connection != nullptr && exchange.connection->end_seen() && !exchange.answer_ended();
    if (left) {
      exchange.connection->close();
    } else if (exchange.gone()) {
      cancel(exchange);
    }
    see_answer(exchange, Push::now);
    return;
  }
  exchange.end_for_handler(result);
  if (exchange.connection != nullptr) {
    exchange.connection->take_answer(exchange, Push::soon);
  } else {
    retire_exchange(exchange);
  }
  if (slow_enough_ && held_since_ != unset && turn_time_ - held_since_ > gathering_for) flush_held();
}

// A deferred or streamed exchange has handed something over.
void Loop::see_answer(Exchange& exchange, Push push) {
  if (exchange.connection != nullptr) {
    exchange.connection->take_answer(exchange, push);
    return;
  }
  exchange.ended = exchange.drop_handover() || exchange.ended;
  if (exchange.ended && exchange.returned) retire_exchange(exchange);
}

// ---- when answers leave ----

void Loop::unflushed(Connection& connection) {
  if (std::exchange(connection.unflushed, true)) return;
  if (held_since_ == unset) held_since_ = turn_time();
  unflushed_.add(connection);
}

void Loop::unwatched(Connection& connection) {
  if (!std::exchange(connection.unwatched, true)) unwatched_.add(connection);
}

void Loop::flush_held() {
  held_since_ = unset;
  while (Connection* const connection = take_open(unflushed_, &Connection::unflushed)) connection->flush_held();
}

void Loop::settle() {
  flush_held();
  while (Connection* const connection = take_open(unwatched_, &Connection::unwatched)) connection->watch();
  if (access_log_.enabled()) access_log_.flush();
  if (crew_.waiting() != 0 && acceptor_.relay().usable() && !uv_is_active(reinterpret_cast<uv_handle_t*>(&relief_))) {
    uv_timer_start(
        &relief_, [](uv_timer_t* timer) { static_cast<Loop*>(timer->data)->relieve(); }, relief_every.count(), 0);
  }
  publish();
}

// ---- the end ----

bool Loop::finished() {
  if (!retiring() || (connections_ != 0 && !stopped_)) return false;
  if (!stopped_ && acceptor_.take_relayed()) return false;  // the last of a generation leaves nothing behind
  if (crew_.handling() == 0 && crew_.waiting() == 0 && ready_.empty()) return true;
  if (stopped_ || (stuck_ != 0 && crew_.handling() <= stuck_)) leave_at_once();
  return false;
}

// Handlers that do not come back would keep the process for ever.
void Loop::leave_at_once() {
  access_log_.flush();
  if (quitting_) ::_exit(0);
  log::error("Worker (pid:{}) leaves behind {} handler(s) that do not return", ::getpid(), crew_.handling());
  ::_exit(0);
}

bool Loop::thread_started(unsigned member) {
  current_[member].store(nullptr, relaxed);
  register_thread(&slot_.running[member]);
  for (const auto& mount : mounts_) {
    if (mount->plugin.thread_init != nullptr && mount->plugin.thread_init(mount->instance) != NARWHAL_OK) {
      log::error("thread_init of {} failed", mount->source);
      return false;
    }
  }
  return true;
}

void Loop::thread_ends(unsigned) {
  for (const auto& mount : mounts_) {
    if (mount->plugin.thread_exit != nullptr) mount->plugin.thread_exit(mount->instance);
  }
}

}  // namespace narwhal::worker
