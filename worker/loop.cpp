#include "worker/loop.hpp"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "worker/connection.hpp"
#include "worker/counter.hpp"
#include "worker/crash.hpp"

namespace narwhal::worker {

namespace {

Loop* the_loop = nullptr;  // one a process: what drop_buffer(), a C callback without context, gives back to

constexpr std::size_t spare_connections_max = 256;
constexpr std::uint64_t relief_ms = 5;  // how often waiting requests are offered to siblings
// To wake a client (or a proxy on this machine) for its answer costs as much as many a request, and while a handler takes
// its time, it falls asleep after each. So while others wait anyway, answers leave together. What is quicker than this
// keeps clients awake, and what is held back longer would be missed.
constexpr std::uint64_t gathering_from_ns = 20'000, gathering_for_ns = 500'000;
constexpr auto relaxed = std::memory_order_relaxed;

std::chrono::milliseconds patience_of(const Config& config) {
  return config.timeout.count() == 0 ? std::chrono::hours(24) : std::chrono::milliseconds(config.timeout);
}

}  // namespace

Loop::Loop(const Seat& seat, std::vector<std::unique_ptr<Mount>> mounts)
    : generation_(seat.generation),
      slot_(seat.scoreboard->slot(seat.slot)),
      mounts_(std::move(mounts)),
      crew_(*this, seat.generation->config.threads, patience_of(seat.generation->config)),
      front_(seat.generation->config),
      acceptor_(*this, seat),
      scratch_(std::make_unique<char[]>(scratch_bytes)),
      current_(seat.generation->config.threads + 1) {
  the_loop = this;
  std::sort(mounts_.begin(), mounts_.end(),
            [](const auto& left, const auto& right) { return left->prefix.size() > right->prefix.size(); });
  if (const int status = uv_loop_init(&uv_); status != 0)
    throw StartupError(std::string("uv_loop_init: ") + uv_strerror(status));
  uv_async_init(&uv_, &wakeup_, [](uv_async_t*) {});  // it only makes turn() return
  uv_timer_init(&uv_, &timer_);
  timer_.data = this;
  uv_timer_start(
      &timer_, [](uv_timer_t* timer) { static_cast<Loop*>(timer->data)->tick(); }, Wheel::tick, Wheel::tick);
  uv_timer_init(&uv_, &relief_);
  relief_.data = this;
  wheel_.start(uv_now(&uv_));
  refresh_date();
  or_throw(access_log_.open(config().accesslog, config().access_log_format));
  or_throw(acceptor_.open(seat));
}

Loop::~Loop() = default;  // the process ends with _exit(): libuv's handles go with it

void Loop::begin_accepting() {
  slot_.state.store(WorkerState::serving, relaxed);
  publish();
  acceptor_.begin();
}

void Loop::retire(bool sweep) {
  if (retiring()) return;
  retiring_.store(true, relaxed);
  slot_.state.store(WorkerState::draining, relaxed);
  acceptor_.end(sweep);
  const auto limit = static_cast<std::uint64_t>(config().graceful_timeout.count()) * 1000;
  quit_at_ms_ = limit == 0 ? WheelEntry::never : now_ms() + limit;
  for (const auto& mount : mounts_) {
    if (mount->plugin.drain != nullptr) mount->plugin.drain(mount->instance);
  }
  uv_walk(
      &uv_,
      [](uv_handle_t* handle, void*) {
        if ((handle->type == UV_TCP || handle->type == UV_NAMED_PIPE) && !uv_is_closing(handle)) {
          static_cast<Connection*>(handle->data)->retire(retired_grace_ms);
        }
      },
      nullptr);
}

void Loop::quit() {
  quitting_ = true;
  if (!retiring()) retire(false);
  close_all();
  stopped_ = true;
}

void Loop::leave_within(std::uint64_t milliseconds) noexcept {
  quit_at_ms_ = std::min(quit_at_ms_, now_ms() + milliseconds);
}

void Loop::reopen_logs() {
  if (Result<Done> done = log::reopen(); !done) log::error("{}", done.error());
  if (Result<Done> done = access_log_.reopen(); !done) log::error("{}", done.error());
}

void Loop::close_all() {
  uv_walk(
      &uv_,
      [](uv_handle_t* handle, void*) {
        if ((handle->type == UV_TCP || handle->type == UV_NAMED_PIPE) && !uv_is_closing(handle)) {
          static_cast<Connection*>(handle->data)->close();
        }
      },
      nullptr);
}

// ---- connections and exchanges ----

Connection* Loop::new_connection(const Peer& peer) {
  void* room;
  if (spare_connections_.empty()) {
    room = ::operator new(sizeof(Connection));
  } else {
    room = spare_connections_.back();
    spare_connections_.pop_back();
  }
  ++connections_;
  slot_.connections.store(connections_, relaxed);
  count(slot_.accepted, 1);
  auto* connection = new (room) Connection(*this, peer);
  return connection;
}

void Loop::connection_gone() noexcept {
  --connections_;
  slot_.connections.store(connections_, relaxed);
  acceptor_.reconsider();
}

// Its handle is closed. A callback of the same turn may have closed what another has put in a list: then whoever takes it
// out of there comes back.
void Loop::free_connection(Connection* connection) noexcept {
  connection->closed = true;
  if (connection->readable || connection->unflushed || connection->unwatched) return;
  connection->~Connection();
  if (spare_connections_.size() < spare_connections_max) {
    spare_connections_.push_back(connection);
  } else {
    ::operator delete(connection);
  }
}

Exchange* Loop::new_exchange(Connection& connection) {
  Exchange* exchange = spare_exchanges_;
  if (exchange == nullptr) {
    exchanges_.push_back(std::make_unique<Exchange>(*this));
    exchange = exchanges_.back().get();
  } else {
    spare_exchanges_ = exchange->next;
  }
  exchange->next = nullptr;
  exchange->connection = &connection;
  return exchange;
}

void Loop::retire_exchange(Exchange& exchange) {
  exchange.retired = true;
  if (exchange.posted.load(std::memory_order_acquire)) return;  // take_posts() comes back to it
  if (exchange.in != nullptr) pool_.drop(std::exchange(exchange.in, nullptr));
  if (exchange.out != nullptr) pool_.drop(std::exchange(exchange.out, nullptr));
  exchange.reset();
  exchange.next = std::exchange(spare_exchanges_, &exchange);
}

// What becomes of the exchange depends on where it is: with nobody, with a handler, or deferred.
void Loop::abandon(Exchange& exchange) {
  const bool with_plugin = exchange.handled && (!exchange.returned || (exchange.deferred && !exchange.ended));
  exchange.set_gone();
  if (!with_plugin) {
    if (!exchange.queued) retire_exchange(exchange);  // else next_ready() or the crew drop it
    return;
  }
  if (exchange.deferred) cancel(exchange);
}

// Tells the plugin, unless it has ended the exchange already and may have forgotten it.
void Loop::cancel(Exchange& exchange) {
  if (exchange.mount->plugin.cancel == nullptr || exchange.answer_ended()) return;
  exchange.mount->plugin.cancel(exchange.mount->instance, handle_of(exchange));
}

Mount* Loop::route(const protocol::Head& head) noexcept {
  const std::string_view path = head.path;
  for (const auto& mount : mounts_) {
    const std::size_t size = mount->prefix.size();
    if (size == 0) return mount.get();
    if (path.size() >= size && std::memcmp(path.data(), mount->prefix.data(), size) == 0 &&
        (path.size() == size || path[size] == '/')) {
      return mount.get();
    }
  }
  return nullptr;
}

void Loop::make_ready(Exchange& exchange) {
  if (exchange.refusal == 0 && crew_.waiting() + ready_count_ >= config().queue_size + crew_.free_handlers() &&
      !exchange.mount->is_inline()) {
    count(slot_.overloaded, 1);
    exchange.refusal = 503;
  }
  if (exchange.out == nullptr) exchange.out = pool_.take();
  exchange.queued = true;
  exchange.next = nullptr;
  (ready_last_ != nullptr ? ready_last_->next : ready_first_) = &exchange;
  ready_last_ = &exchange;
  ++ready_count_;
}

void Loop::unflushed(Connection& connection) {
  if (std::exchange(connection.unflushed, true)) return;
  if (held_since_ns_ == 0) held_since_ns_ = turn_ns();
  connection.next_unflushed = std::exchange(unflushed_, &connection);
}

void Loop::unwatched(Connection& connection) {
  if (std::exchange(connection.unwatched, true)) return;
  connection.next_unwatched = std::exchange(unwatched_, &connection);
}

void Loop::readable(Connection& connection) {
  if (std::exchange(connection.readable, true)) return;
  connection.next_readable = nullptr;
  (readable_last_ != nullptr ? readable_last_->next_readable : readable_first_) = &connection;
  readable_last_ = &connection;
}

bool Loop::read_next() {
  if (readable_first_ == nullptr) return false;
  Connection& connection = *readable_first_;
  readable_first_ = connection.next_readable;
  if (readable_first_ == nullptr) readable_last_ = nullptr;
  connection.readable = false;
  if (connection.closed) {
    free_connection(&connection);
  } else {
    connection.read_now();
  }
  return true;
}

// ---- the crew's work ----

void Loop::turn(Turn turn) {
  turn_ns_ = 0;
  uv_run(&uv_, turn == Turn::waits ? UV_RUN_ONCE : UV_RUN_NOWAIT);
  slot_.heartbeat_ns.store(uv_now(&uv_) * 1'000'000u, relaxed);
  refresh_date();
  take_posts();
}

Exchange* Loop::next_ready() {
  while (ready_first_ != nullptr || read_next()) {
    if (ready_first_ == nullptr) continue;
    Exchange* exchange = ready_first_;
    ready_first_ = exchange->next;
    if (ready_first_ == nullptr) ready_last_ = nullptr;
    --ready_count_;
    exchange->queued = false;
    if (exchange->gone()) {
      retire_exchange(*exchange);
    } else if (exchange->refusal != 0) {
      exchange->answer_refusal();
      exchange->connection->take_answer(*exchange, Push::now);
    } else {
      exchange->handled = true;
      exchange->handled_ns = turn_ns();
      return exchange;
    }
  }
  return nullptr;
}

void Loop::put_back(Exchange& exchange) {
  exchange.handled = false;
  exchange.queued = true;
  exchange.next = ready_first_;
  ready_first_ = &exchange;
  if (ready_last_ == nullptr) ready_last_ = &exchange;
  ++ready_count_;
}

int Loop::handle(Exchange& exchange, unsigned member, Place place) noexcept {
  if (place.has_waited) exchange.handled_ns = narwhal::now_ns();
  if (exchange.gone()) return NARWHAL_OK;  // while it waited for a handler
  exchange.fill_request();
  current_[member].store(&exchange, std::memory_order_release);
  const int result = exchange.run(member);
  if (!place.with_baton) exchange.returned_ns = narwhal::now_ns();
  current_[member].store(nullptr, std::memory_order_release);
  return result;
}

void Loop::completed(Exchange& exchange, int result) {
  turn_ns_ = narwhal::now_ns();
  Mount& mount = *exchange.mount;
  // Not by when the loop hears of it: that may be late because the loop has to wait for a processor.
  const std::uint64_t ended_ns = exchange.returned_ns != 0 ? exchange.returned_ns : turn_ns_;
  const std::uint64_t took = std::min(exchange.longest_stretch(ended_ns), Mount::slow_cut_ns);
  mount.usual_ns += (static_cast<std::int64_t>(took) - static_cast<std::int64_t>(mount.usual_ns)) / 16;
  slow_enough_ = mount.usual_ns > gathering_from_ns;
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
  if (slow_enough_ && held_since_ns_ != 0 && turn_ns_ - held_since_ns_ > gathering_for_ns) flush_held();
}

// A deferred or streamed exchange has handed something over.
void Loop::see_answer(Exchange& exchange, Push push) {
  if (exchange.connection != nullptr) {
    exchange.connection->take_answer(exchange, push);
    return;
  }
  exchange.ended = exchange.take_handover(segments_).ended || exchange.ended;
  for (Segment& segment : segments_) discard(segment);
  segments_.clear();
  if (exchange.ended && exchange.returned) retire_exchange(exchange);
}

void Loop::flush_held() {
  held_since_ns_ = 0;
  while (unflushed_ != nullptr) {
    Connection* connection = std::exchange(unflushed_, unflushed_->next_unflushed);
    connection->unflushed = false;
    if (connection->closed) {
      free_connection(connection);
    } else {
      connection->flush_held();
    }
  }
}

void Loop::settle() {
  flush_held();
  while (unwatched_ != nullptr) {
    Connection* connection = std::exchange(unwatched_, unwatched_->next_unwatched);
    connection->unwatched = false;
    if (connection->closed) {
      free_connection(connection);
    } else {
      connection->watch();
    }
  }
  if (access_log_.enabled()) access_log_.flush();
  if (crew_.waiting() != 0 && acceptor_.relay().usable() && !uv_is_active(reinterpret_cast<uv_handle_t*>(&relief_))) {
    uv_timer_start(
        &relief_, [](uv_timer_t* timer) { static_cast<Loop*>(timer->data)->relieve(); }, relief_ms, 0);
  }
  publish();
}

bool Loop::finished() {
  if (!retiring() || (connections_ != 0 && !stopped_)) return false;
  if (!stopped_ && acceptor_.take_relayed()) return false;  // the last of a generation leaves nothing behind
  if (crew_.handling() == 0 && crew_.waiting() == 0 && ready_first_ == nullptr) return true;
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

// Requests that have waited a while for a handler of this worker go to a sibling that has one to spare.
void Loop::relieve() {
  if (!acceptor_.siblings().look().any_free) return;
  std::vector<Crew::Waiting> staying;
  const std::uint64_t now = narwhal::now_ns();
  for (const Crew::Waiting& request : crew_.take_waiting()) {
    Exchange* const exchange = request.exchange;
    const bool waited = exchange->started_ns + relief_ms * 1'000'000 / 2 <= now;
    if (exchange->gone()) {
      retire_exchange(*exchange);
    } else if (!waited || !exchange->connection->give_to_sibling(acceptor_.relay())) {
      staying.push_back(request);
    }
  }
  crew_.enqueue_again(staying);
}

// ---- from other threads ----

void Loop::post(Exchange& exchange) {
  if (!exchange.posted.exchange(true, std::memory_order_acq_rel)) post_marked(exchange);
}

void Loop::post_marked(Exchange& exchange) {
  {
    const std::lock_guard lock(posts_mutex_);
    posts_.push_back(&exchange);
    any_posts_.store(true, std::memory_order_release);
  }
  uv_async_send(&wakeup_);
}

void Loop::take_posts() {
  if (!any_posts_.load(std::memory_order_acquire)) return;
  {
    const std::lock_guard lock(posts_mutex_);
    any_posts_.store(false, std::memory_order_relaxed);
    taken_posts_.swap(posts_);
  }
  for (Exchange* exchange : taken_posts_) {
    exchange->posted.store(false, std::memory_order_release);
    if (exchange->retired) {
      retire_exchange(*exchange);
      continue;
    }
    if (exchange->connection != nullptr) exchange->connection->resume_body();
    see_answer(*exchange, Push::now);
  }
  taken_posts_.clear();
}

void Loop::drop_buffer(void* buffer) { the_loop->pool_.drop(static_cast<Buffer*>(buffer)); }

}  // namespace narwhal::worker
