#include "worker/unfinished.hpp"

#include "core/log.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

namespace {

constexpr unsigned named_max = 10;

// Its handler has not returned, or has deferred it and not ended it.
bool is_unfinished(const Exchange& exchange) noexcept {
  return exchange.handled && exchange.mount != nullptr &&
         (!exchange.returned || (exchange.deferred && !exchange.answer_ended()));
}

void log_one(const Exchange& exchange) noexcept {
  const std::string_view method = exchange.head.method.view(), target = exchange.head.target.view();
  const std::string& plugin = exchange.mount->source;
  const double age = seconds_of(now() - exchange.times.called);
  if (!exchange.returned) {
    log::warning("{} {}: its handler in {} has not returned after {:.1f} s", method, target, plugin, age);
  } else {
    log::warning("{} {}: {} has deferred it, and not ended it after {:.1f} s", method, target, plugin, age);
  }
}

}  // namespace

void log_unfinished(Loop& loop) noexcept {
  unsigned count = 0;
  for (const auto& exchange : loop.exchanges()) {
    if (is_unfinished(*exchange) && ++count <= named_max) log_one(*exchange);
  }
  if (count > named_max) log::warning("{} more requests are not finished", count - named_max);
}

}  // namespace narwhal::worker
