#include "worker/loop.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/log.hpp"
#include "core/time_limit.hpp"
#include "worker/connection.hpp"
#include "worker/crash.hpp"
#include "worker/extensions.hpp"
#include "worker/unfinished.hpp"

namespace narwhal::worker {

namespace {

Loop* the_loop = nullptr;  // one a process: what drop_buffer(), a C callback without context, gives back to

constexpr auto relaxed = std::memory_order_relaxed;

}  // namespace

Loop::Loop(const Seat& seat, std::vector<std::unique_ptr<Mount>> mounts)
    : generation_(seat.generation),
      slot_(seat.scoreboard->slot(seat.slot)),
      mounts_(std::move(mounts), config()),
      counters_(slot_),
      logs_(slot_),
      connections_(*this),
      exchanges_(*this, buffers_, slot_),
      dispatcher_(*this),
      crew_(dispatcher_, config().threads, mounts_.inline_patience()),
      deadlines_(*this, config().threads + 1),
      recycling_(config(), counters_),
      proxy_policy_(config()),
      acceptor_(*this, seat),
      scratch_(std::make_unique<char[]>(scratch_bytes)) {
  the_loop = this;
  if (const int status = uv_loop_init(&uv_); status != 0)
    throw StartupError(std::string("uv_loop_init: ") + uv_strerror(status));
  uv_.data = this;
  posts_.open(&uv_);
  calls_.open(&uv_);
  open_worker_extensions(*seat.scoreboard, seat.slot, calls_);
  dispatcher_.open(seat.scoreboard->poison());
  uv_timer_init(&uv_, &timer_);
  timer_.data = this;
  uv_timer_start(
      &timer_, [](uv_timer_t* timer) { static_cast<Loop*>(timer->data)->tick(); }, Wheel::tick.count(),
      Wheel::tick.count());
  wheel_.start(now());
  dates_.refresh();
  logs_.open(&uv_, seat);
  or_throw(acceptor_.open(seat));
}

Loop::~Loop() = default;  // the process ends with _exit(): libuv's handles go with it

// ---- the worker's life ----

void Loop::begin_accepting() {
  if (retiring()) return;
  slot_.state.store(WorkerState::serving, relaxed);
  publish_load();
  if (!std::exchange(has_begun_, true)) recycling_.begin(narwhal::now());
  acceptor_.begin();
}

void Loop::retire(Backlog backlog) {
  if (retiring()) return;
  retiring_.store(true, relaxed);
  slot_.state.store(WorkerState::draining, relaxed);
  recycling_.end();
  acceptor_.end(backlog);
  leave_within(config().graceful_timeout, "graceful_timeout has passed");
  mounts_.drain();
  connections_.retire_all(retired_grace);
}

void Loop::leave_within(std::chrono::seconds limit, const char* passed) noexcept {
  const Instant end = now() + limit;  // 0 is at once, as with Gunicorn
  if (end >= quit_at_) return;
  quit_at_ = end;
  quit_reason_ = passed;
}

void Loop::quit() {
  quitting_ = true;
  if (!retiring()) retire(Backlog::leave);
  connections_.close_all();
  stopped_ = true;
}

// Handlers that do not come back would keep the process for ever.
void Loop::leave_at_once() {
  wait_for_dumps();
  logs_.finish();
  if (!quitting_) {
    log::error("Worker (pid:{}) exits although {} handler(s) have not returned", ::getpid(), crew_.counts().handling());
    name_unfinished();
  }
  ::_exit(0);
}

// --check-config has no loop.
bool left_at_once() noexcept { return the_loop != nullptr && the_loop->quitting_; }

void Loop::drop_buffer(void* buffer) noexcept { the_loop->buffers_.drop(static_cast<Buffer*>(buffer)); }

// ---- time ----

void Loop::run_events(uv_run_mode mode) {
  turn_time_ = unset;
  uv_run(&uv_, mode);
  slot_.heartbeat.store(now(), relaxed);
  dates_.refresh();
}

void Loop::tick() {
  wheel_.advance(now(), [](WheelEntry& entry) { static_cast<Connection&>(entry).expired(); });
  const Instant precisely = narwhal::now();
  deadlines_.check(precisely);
  recycling_.tick(precisely);
  slot_.oldest_waiting.store(dispatcher_.oldest_waiting(), relaxed);
  logs_.tick();
  acceptor_.reconsider();
  if (retiring() && now() >= quit_at_ && !stopped_) {
    dispatcher_.refuse_waiting();
    const unsigned left = connections_.count();
    if (left != 0) log::warning("{}: dropping {} connection(s)", quit_reason_, left);
    name_unfinished();
    connections_.close_all();
    stopped_ = true;
  }
}

// ---- what is shown of it ----

void Loop::record_answer(const Exchange& exchange, const Answered& answered) {
  const Instant now = turn_time();
  counters_.request_answered(answered.status, route_of(exchange), exchange.started, now);
  if (logs_.access().enabled()) logs_.access().add(exchange, answered, now);
}

// After quit() nobody expects them to be finished.
void Loop::name_unfinished() noexcept {
  if (!quitting_ && !std::exchange(has_named_unfinished_, true)) log_unfinished(*this);
}

void Loop::publish_load() {
  const TaskCounts& tasks = crew_.counts();
  slot_.waiting.store(tasks.waiting(), relaxed);
  slot_.busy.store(tasks.handling(), relaxed);
  const unsigned free = tasks.free_handlers();
  if (slot_.free_handlers.load(relaxed) != free) {
    slot_.free_handlers.store(free, relaxed);
    acceptor_.reconsider();
  }
}

}  // namespace narwhal::worker
