#include "worker/deadlines.hpp"

#include <unistd.h>

#include "core/log.hpp"
#include "worker/connection.hpp"
#include "worker/crash.hpp"
#include "worker/hang.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

namespace {

constexpr std::chrono::seconds slow_line_every{1};

bool has_passed(std::chrono::nanoseconds limit, std::chrono::nanoseconds age) {
  return limit.count() != 0 && age >= limit;
}

}  // namespace

Deadlines::Deadlines(Loop& loop, unsigned members) : loop_(loop), current_(members) {
  for (const auto& mount : loop.mounts())
    has_limits_ = has_limits_ || mount->timeout.count() != 0 || mount->soft_timeout.count() != 0;
}

void Deadlines::check(Instant now) {
  if (!has_limits_) return;
  for (std::size_t member = 0; member < current_.size(); ++member) check_handler(member, now);
  for (const auto& exchange : loop_.exchanges()) check_deferred(*exchange, now);
  log_unnamed(now);
}

void Deadlines::check_handler(std::size_t member, Instant now) {
  Exchange* const exchange = current_[member].load(std::memory_order_acquire);
  const Running& running = loop_.slot().running[member];
  const Instant started = running.started.load(std::memory_order_relaxed);
  if (exchange == nullptr || started == Running::idle || exchange->timed_out) return;
  const Mount& mount = *exchange->mount;
  const auto age = now - started;
  const bool may_be_late =
      has_passed(mount.timeout, age) || (!exchange->is_slow && has_passed(mount.soft_timeout, age));
  if (!may_be_late) return;
  const auto own_age = age - exchange->client_wait.total(now);
  if (has_passed(mount.timeout, own_age)) {
    pass(*exchange, now);
    dump_thread(running.thread_id.load(std::memory_order_relaxed), LogLevel::critical);
    // First, because the hook may hang.
    if (stuck_++ == 0 && on_stuck != nullptr) on_stuck(stuck_context);
    if (mount.plugin.stuck == nullptr) return;
    const HookCall call("stuck()", mount);
    mount.plugin.stuck(mount.instance, exchange->handle());
  } else if (!exchange->is_slow && has_passed(mount.soft_timeout, own_age)) {
    if (!pass_softly(*exchange, now) || !log::enabled(LogLevel::warning)) return;
    dump_thread(running.thread_id.load(std::memory_order_relaxed), LogLevel::warning);
    if (mount.plugin.slow == nullptr) return;
    const HookCall call("slow()", mount);
    mount.plugin.slow(mount.instance, exchange->handle());
  }
}

// A deferred exchange that has begun its answer may take as long as it likes: an event stream does.
void Deadlines::check_deferred(Exchange& exchange, Instant now) {
  if (!exchange.deferred || exchange.ended || exchange.timed_out || exchange.connection == nullptr ||
      exchange.head_taken)
    return;
  const auto age = now - exchange.times.called;
  if (has_passed(exchange.mount->timeout, age)) return pass(exchange, now);
  if (!exchange.is_slow && has_passed(exchange.mount->soft_timeout, age)) pass_softly(exchange, now);
}

void Deadlines::pass(Exchange& exchange, Instant now) {
  exchange.timed_out = true;
  loop_.counters().request_timed_out();
  const char* const how = exchange.deferred ? "was deferred, and not answered, by" : "is still in";
  // No thread is in it, so the worker goes on.
  const char* const rest = exchange.deferred ? "; its client gets 504, and the plugin has still to end it" : "";
  log::critical("{}TIMEOUT (pid:{}): {} {} {} {} after {:.1f} s{}", exchange.deferred ? "" : "WORKER ", ::getpid(),
                exchange.head.method.view(), exchange.head.target.view(), how, exchange.mount->source,
                seconds_of(now - exchange.times.called), rest);
  if (exchange.connection != nullptr) exchange.connection->answer_for(exchange, 504, "the application took too long");
}

// True: it was named in the log. Else it is counted, because another one has just been named.
bool Deadlines::pass_softly(Exchange& exchange, Instant now) {
  exchange.is_slow = true;
  if (now < next_slow_line_) {
    ++unnamed_;
    return false;
  }
  next_slow_line_ = now + slow_line_every;
  const Mount& mount = *exchange.mount;
  const char* const how = exchange.deferred ? "was deferred, and not answered, by" : "is still in";
  log::warning("Slow request (pid:{}): {} {} (route {}) {} {} after {:.1f} s (soft_timeout {} s)", ::getpid(),
               exchange.head.method.view(), exchange.head.target.view(), route_name(mount.prefix, mount.hosts), how,
               mount.source, seconds_of(now - exchange.times.called),
               std::chrono::duration_cast<std::chrono::seconds>(mount.soft_timeout).count());
  return true;
}

void Deadlines::log_unnamed(Instant now) {
  if (unnamed_ == 0 || now < next_slow_line_) return;
  log::warning("Slow requests (pid:{}): {} more within a second", ::getpid(), unnamed_);
  unnamed_ = 0;
}

}  // namespace narwhal::worker
