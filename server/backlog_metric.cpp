#include "server/backlog_metric.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "core/log.hpp"

namespace narwhal::server {
namespace {

constexpr std::chrono::seconds interval{1};

// 0 for a Unix socket.
long waiting_at(int socket) {
  tcp_info facts{};
  socklen_t size = sizeof facts;
  return ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &facts, &size) == 0 ? static_cast<long>(facts.tcpi_unacked) : 0;
}

}  // namespace

void BacklogMetric::settle(const Config& config, const ListenerList& listeners, Instant now) {
  if (!config.enable_backlog_metric || config.statsd_host.empty()) {
    due_ = never;
    return;
  }
  if (due_ != never && now < due_) return;
  due_ = now + interval;
  long waiting = 0;
  for (const auto& listener : listeners) waiting += waiting_at(listener->fd.get());
  log::metric({"gunicorn.backlog", "histogram", waiting}, "");
}

}  // namespace narwhal::server
