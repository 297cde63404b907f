// Lines for the log process (server/log_process.hpp), which a socket carries whole.
// Wire     SOCK_SEQPACKET: each message is one line or several, of at most a few KiB, so that little is lost with a process
//          that dies while it writes one. 'A' and a JSON object: a request. 'E' and a JSON object: a line of the error log.
// Threads  any.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/config.hpp"
#include "core/fd.hpp"
#include "core/result.hpp"

namespace narwhal {

// What makes the log go through the log process.
bool needs_log_process(const Config& config);
// Whether that process wants requests.
bool logs_requests(const Config& config);
// Whether it may look at every header field of a request: others than those that access_log_format names.
bool logs_all_headers(const Config& config);

struct LogSockets {
  Fd writer, reader;  // both close-on-exec; a process that writes never waits
};
// With as large a queue as the system allows.
Result<Done> open_log_sockets(LogSockets& sockets);

constexpr std::size_t log_message_bytes_max = 3 * 1024;  // of several lines; one line may be longer

enum class LogDelivery { yes, full, refused };
// Without waiting. `refused`: the message is too long, or nobody will ever read it.
LogDelivery send_log_message(int socket, std::string_view message) noexcept;

struct LogMetric {
  std::string_view name, type;  // "gunicorn.workers", "gauge"
  long value = 0;
};
// An 'E' line. `trace`: a text of several lines that follows it, or empty. `always`: its level does not matter.
std::string error_log_record(LogLevel level, std::string_view text, std::string_view trace, bool always,
                             const LogMetric* metric = nullptr);

}  // namespace narwhal
