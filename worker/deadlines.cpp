#include "worker/deadlines.hpp"

#include <unistd.h>

#include "core/log.hpp"
#include "worker/connection.hpp"
#include "worker/crash.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

void Deadlines::check(Instant now) {
  const std::chrono::nanoseconds limit = loop_.config().timeout;
  if (limit == limit.zero()) return;
  check_handlers(now, limit);
  check_deferred(now, limit);
}

void Deadlines::check_handlers(Instant now, std::chrono::nanoseconds limit) {
  for (std::size_t member = 0; member < current_.size(); ++member) {
    Exchange* const exchange = current_[member].load(std::memory_order_acquire);
    const Running& running = loop_.slot().running[member];
    const Instant started = running.started.load(std::memory_order_relaxed);
    if (exchange == nullptr || started == Running::idle || started + limit > now || exchange->timed_out) continue;
    if (started + limit + exchange->client_wait.total(now) > now) continue;
    pass(*exchange, now);
    dump_thread(running.thread_id.load(std::memory_order_relaxed));
    const Mount& mount = *exchange->mount;
    if (mount.plugin.stuck != nullptr) mount.plugin.stuck(mount.instance, handle_of(*exchange));
    if (stuck_++ == 0 && on_stuck != nullptr) on_stuck(stuck_context);
  }
}

void Deadlines::check_deferred(Instant now, std::chrono::nanoseconds limit) {
  for (const auto& exchange : loop_.exchanges()) {
    // A deferred exchange that has begun its answer may take as long as it likes: an event stream does.
    if (exchange->deferred && !exchange->ended && !exchange->timed_out && exchange->connection != nullptr &&
        !exchange->head_taken && exchange->times.called + limit <= now) {
      pass(*exchange, now);
    }
  }
}

void Deadlines::pass(Exchange& exchange, Instant now) {
  exchange.timed_out = true;
  loop_.counters().request_timed_out();
  log::critical("WORKER TIMEOUT (pid:{}): {} {} is still in {} after {:.1f} s", ::getpid(), exchange.head.method.view(),
                exchange.head.target.view(), exchange.mount->source, seconds_of(now - exchange.times.called));
  if (exchange.connection != nullptr) exchange.connection->answer_for(exchange, 504, "the application took too long");
}

}  // namespace narwhal::worker
