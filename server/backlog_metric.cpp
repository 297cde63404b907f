#include "server/backlog_metric.hpp"

#include <algorithm>

#include "core/log.hpp"
#include "server/accept_queue.hpp"

namespace narwhal::server {
namespace {

constexpr std::chrono::seconds interval{1};

}  // namespace

void BacklogMetric::settle(const Config& config, const ListenerList& listeners, Instant now) {
  if (!config.enable_backlog_metric || config.statsd_host.empty()) {
    due_ = never;
    return;
  }
  if (due_ != never && now < due_) return;
  due_ = now + interval;
  long waiting = 0;
  for (const auto& listener : listeners) waiting += std::max(0L, accept_queue_of(listener->fd.get()));
  log::metric({"gunicorn.backlog", "histogram", waiting}, "");
}

}  // namespace narwhal::server
