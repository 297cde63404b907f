#include "worker/loop.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/log.hpp"
#include "core/time_limit.hpp"
#include "worker/connection.hpp"
#include "worker/counter.hpp"
#include "worker/crash.hpp"

namespace narwhal::worker {

namespace {

Loop* the_loop = nullptr;  // one a process: what drop_buffer(), a C callback without context, gives back to

constexpr std::size_t spare_connections_max = 256;
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
      proxy_policy_(seat.generation->config),
      acceptor_(*this, seat),
      scratch_(std::make_unique<char[]>(scratch_bytes)),
      current_(seat.generation->config.threads + 1) {
  the_loop = this;
  spare_connections_.reserve(spare_connections_max);
  std::sort(mounts_.begin(), mounts_.end(),
            [](const auto& left, const auto& right) { return left->prefix.size() > right->prefix.size(); });
  if (const int status = uv_loop_init(&uv_); status != 0)
    throw StartupError(std::string("uv_loop_init: ") + uv_strerror(status));
  uv_async_init(&uv_, &wakeup_, [](uv_async_t*) {});  // it only makes turn() return
  uv_timer_init(&uv_, &timer_);
  timer_.data = this;
  uv_timer_start(
      &timer_, [](uv_timer_t* timer) { static_cast<Loop*>(timer->data)->tick(); }, Wheel::tick.count(),
      Wheel::tick.count());
  uv_timer_init(&uv_, &relief_);
  relief_.data = this;
  wheel_.start(now());
  refresh_date();
  access_log_.open(config().accesslog == "-" ? STDOUT_FILENO : seat.access_log, config().access_log_format);
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
  quit_at_ = deadline_after(now(), config().graceful_timeout);
  for (const auto& mount : mounts_) {
    if (mount->plugin.drain != nullptr) mount->plugin.drain(mount->instance);
  }
  uv_walk(
      &uv_,
      [](uv_handle_t* handle, void*) {
        if ((handle->type == UV_TCP || handle->type == UV_NAMED_PIPE) && !uv_is_closing(handle)) {
          static_cast<Connection*>(handle->data)->retire(retired_grace);
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

void Loop::leave_within(std::chrono::milliseconds limit) noexcept { quit_at_ = std::min(quit_at_, now() + limit); }

void Loop::follow(Order which, const Fd& log) {
  const auto done = which == Order::error_log ? log::follow(log) : access_log_.follow(log);
  if (!done) log::error("{}", done.error());
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
  auto* connection = new (room) Connection(*this, peer);  // which does not throw
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

// ---- from other threads ----

void Loop::post(Exchange& exchange) {
  if (!exchange.posted.exchange(true, std::memory_order_acq_rel)) post_marked(exchange);
}

void Loop::post_marked(Exchange& exchange) {
  {
    const std::lock_guard lock(posts_mutex_);
    posts_.add(exchange);
    any_posts_.store(true, std::memory_order_release);
  }
  uv_async_send(&wakeup_);
}

void Loop::take_posts() {
  if (!any_posts_.load(std::memory_order_acquire)) return;
  auto taken = [this] {
    const std::lock_guard lock(posts_mutex_);
    any_posts_.store(false, std::memory_order_relaxed);
    return std::exchange(posts_, {});
  }();
  while (Exchange* const exchange = taken.take()) {
    exchange->posted.store(false, std::memory_order_release);
    if (exchange->retired) {
      retire_exchange(*exchange);
      continue;
    }
    if (exchange->connection != nullptr) exchange->connection->resume_body();
    see_answer(*exchange, Push::now);
  }
}

void Loop::drop_buffer(void* buffer) { the_loop->pool_.drop(static_cast<Buffer*>(buffer)); }

}  // namespace narwhal::worker
