#include "core/log_records.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <iterator>

#include "core/json_text.hpp"

namespace narwhal {
namespace {

constexpr int queue_bytes = 4 * 1024 * 1024;
constexpr std::size_t text_bytes_max = 32 * 1024;

constexpr std::array<std::string_view, 5> level_names{"debug", "info", "warning", "error", "critical"};

bool has_own_logger(const Config& config) {
  return !config.logger_class.empty() && config.logger_class != "gunicorn.glogging.Logger" &&
         config.logger_class != "simple";
}

bool has_logconfig(const Config& config) {
  return config.logconfig_dict || !config.logconfig.empty() || !config.logconfig_json.empty();
}

void add_member(std::string& json, std::string_view key, std::string_view text) {
  fmt::format_to(std::back_inserter(json), R"(,"{}":)", key);
  append_json_string(json, text);
}

}  // namespace

bool needs_log_process(const Config& config) {
  return config.conf_changes_loggers || config.syslog || !config.statsd_host.empty() || has_logconfig(config) ||
         has_own_logger(config);
}

bool logs_requests(const Config& config) {
  const bool to_syslog = config.syslog && !config.disable_redirect_access_to_syslog;
  return needs_log_process(config) && (!config.accesslog.empty() || to_syslog || !config.statsd_host.empty() ||
                                       has_logconfig(config) || has_own_logger(config));
}

bool logs_all_headers(const Config& config) {
  return has_logconfig(config) || has_own_logger(config) || config.conf_changes_loggers;
}

Result<Done> open_log_sockets(LogSockets& sockets) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return errno_error("socket of the log process");
  sockets = {Fd(ends[0]), Fd(ends[1])};
  const int size = queue_bytes;
  // The first needs a right; the second is cut to what everybody may have.
  if (::setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
    ::setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  return Done{};
}

LogDelivery send_log_message(int socket, std::string_view message) noexcept {
  while (true) {
    if (::send(socket, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return LogDelivery::yes;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? LogDelivery::full : LogDelivery::refused;
  }
}

std::string error_log_record(LogLevel level, std::string_view text, std::string_view trace, bool always,
                             const LogMetric* metric) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  std::string json =
      fmt::format(R"(E{{"level":"{}","pid":{},"time":{}.{:06})", level_names[static_cast<std::size_t>(level)],
                  ::getpid(), now.tv_sec, now.tv_nsec / 1000);
  add_member(json, "text", text.substr(0, text_bytes_max));
  if (text.size() > text_bytes_max) json += R"(,"cut":true)";
  if (!trace.empty()) add_member(json, "trace", trace.substr(0, 2 * text_bytes_max));
  if (always) json += R"(,"always":true)";
  if (metric != nullptr) {
    add_member(json, "metric", metric->name);
    add_member(json, "mtype", metric->type);
    fmt::format_to(std::back_inserter(json), R"(,"value":{})", metric->value);
  }
  json += "}\n";
  return json;
}

}  // namespace narwhal
