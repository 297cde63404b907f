// What the loop does by the clock: dates, deadlines, and its entries on the scoreboard.
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "worker/connection.hpp"
#include "worker/counter.hpp"
#include "worker/crash.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

namespace {

using namespace std::chrono_literals;
constexpr auto relaxed = std::memory_order_relaxed;

}  // namespace

Instant Loop::turn_time() noexcept {
  if (turn_time_ == unset) turn_time_ = narwhal::now();
  return turn_time_;
}

void Loop::refresh_date() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec == date_second_) return;
  date_second_ = now.tv_sec;
  // Handlers on other threads may be reading the last one: it stays as it is for some seconds more.
  date_index_ = (date_index_ + 1) % 4;
  protocol::encode_date(date_second_, dates_[date_index_]);
  date_.store(dates_[date_index_], std::memory_order_release);
}

void Loop::tick() {
  wheel_.advance(now(), [](WheelEntry& entry) { static_cast<Connection&>(entry).expired(); });
  check_deadlines(narwhal::now());
  acceptor_.reconsider();
  if (retiring() && now() >= quit_at_ && !stopped_) {
    if (connections_ != 0) log::warning("graceful_timeout has passed: dropping {} connection(s)", connections_);
    close_all();
    stopped_ = true;
  }
}

void Loop::check_deadlines(Instant now) {
  const std::chrono::nanoseconds limit = config().timeout;
  if (limit == limit.zero()) return;
  for (std::size_t member = 0; member < current_.size(); ++member) {
    Exchange* exchange = current_[member].load(std::memory_order_acquire);
    const Instant started = slot_.running[member].started.load(relaxed);
    if (exchange == nullptr || started == Running::idle || started + limit > now || exchange->timed_out) continue;
    if (started + limit + exchange->client_wait.total(now) > now) continue;
    pass_deadline(*exchange, now);
    dump_thread(slot_.running[member].thread_id.load(relaxed));
    const Mount& mount = *exchange->mount;
    if (mount.plugin.stuck != nullptr) mount.plugin.stuck(mount.instance, handle_of(*exchange));
    if (stuck_++ == 0 && on_stuck != nullptr) on_stuck(stuck_context);
  }
  for (const auto& exchange : exchanges_) {
    // A deferred exchange that has begun its answer may take as long as it likes: an event stream does.
    if (exchange->deferred && !exchange->ended && !exchange->timed_out && exchange->connection != nullptr &&
        !exchange->connection->answering() && exchange->handler_called + limit <= now) {
      pass_deadline(*exchange, now);
    }
  }
}

void Loop::pass_deadline(Exchange& exchange, Instant now) {
  exchange.timed_out = true;
  count(slot_.timed_out, 1);
  log::critical("WORKER TIMEOUT (pid:{}): {} {} is still in {} after {:.1f} s", ::getpid(), exchange.head.method.view(),
                exchange.head.target.view(), exchange.mount->source, seconds_of(now - exchange.handler_called));
  if (exchange.connection != nullptr) exchange.connection->answer_for(exchange, 504, "the application took too long");
}

// ---- the scoreboard ----

void Loop::publish() {
  slot_.busy.store(crew_.handling(), relaxed);
  slot_.waiting.store(crew_.waiting(), relaxed);
  const unsigned free = crew_.free_handlers();
  if (slot_.free_handlers.load(relaxed) != free) {
    slot_.free_handlers.store(free, relaxed);
    acceptor_.reconsider();
  }
}

void Loop::count_answer(int status, Instant started, Instant now) {
  count(slot_.requests, 1);
  count(slot_.status_class[status / 100 % 6], 1);
  const auto microseconds = static_cast<std::uint64_t>(now > started ? (now - started) / 1us : 0);
  const unsigned bucket = 64 - static_cast<unsigned>(__builtin_clzll(microseconds | 1));
  count(slot_.latency[std::min<unsigned>(bucket, WorkerSlot::latency_buckets - 1)], 1);
}

void Loop::count_refused() noexcept { count(slot_.refused, 1); }
void Loop::count_in(std::size_t bytes) noexcept { count(slot_.bytes_in, bytes); }
void Loop::count_out(std::size_t bytes) noexcept { count(slot_.bytes_out, bytes); }

void Loop::log_access(const Exchange& exchange, const Answered& answered, Instant now) noexcept {
  if (access_log_.enabled()) access_log_.add(exchange, answered, now);
}

}  // namespace narwhal::worker
