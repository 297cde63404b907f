#include "worker/access_log.hpp"

#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

#include "core/escape.hpp"
#include "core/log.hpp"
#include "core/log_records.hpp"
#include "core/write_all.hpp"
#include "worker/access_json.hpp"
#include "worker/exchange.hpp"

namespace narwhal::worker {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t value_bytes_max = 8 * 1024;  // of one atom, before it is escaped
constexpr std::size_t batch_bytes_max = 64 * 1024;
constexpr std::size_t backlog_bytes_max = 4 * 1024 * 1024;  // of lines that wait for the log process
constexpr std::chrono::milliseconds last_wait{500};

}  // namespace

void AccessLog::open(int descriptor, const std::string& format) {
  fd_ = descriptor;
  format_ = compile_access_format(format);
}

void AccessLog::open_collector(int socket, const std::string& format, bool with_all_headers) {
  open(socket, format);
  is_collected_ = format_.is_json = true;
  format_.has_all_headers = with_all_headers;
}

Result<Done> AccessLog::follow(const Fd& file) {
  flush();
  if (is_collected_) return Done{};
  if (fd_ < 0) return Done{};
  if (::dup3(file.get(), fd_, O_CLOEXEC) < 0) return errno_error("reopen the access log");
  return Done{};
}

void AccessLog::add(const Exchange& exchange, const Answered& answered, Instant now) noexcept {
  const std::size_t before = lines_.size();
  if (is_collected_ && before - sent_ > backlog_bytes_max) {
    ++lost_;
    return;
  }
  try {
    add_line(exchange, answered, now);
  } catch (const std::bad_alloc&) {
    lines_.resize(before);  // the whole line is left out, not half of it
    log::error("out of memory: a line of the access log is lost");
  }
  if (lines_.size() > batch_bytes_max) flush();
}

void AccessLog::add_line(const Exchange& exchange, const Answered& answered, Instant now) {
  if (is_collected_) lines_ += 'A';
  if (format_.is_json) add_json_line(lines_, format_, exchange, answered, now);
  for (const AccessPiece& piece : format_.pieces) {
    if (format_.is_json) break;
    if (piece.atom == 0) {
      lines_ += piece.text;
    } else {
      add_atom(piece, exchange, answered, now);
    }
  }
  lines_ += '\n';
}

void AccessLog::add_atom(const AccessPiece& piece, const Exchange& exchange, const Answered& answered, Instant now) {
  const protocol::Head& head = exchange.head;
  const auto took = time_taken(exchange, now);
  const auto out = std::back_inserter(lines_);
  switch (piece.atom) {
    case 'h': lines_ += exchange.peer.text(); return;
    case 'c': return add_escaped(exchange.client_address());
    case 'l': lines_ += '-'; return;
    case 'u': return add_escaped(basic_user(head.field("authorization")));
    case 't': return add_time();
    case 'r':
      if (head.method.size == 0) return add_escaped({});
      add_escaped(head.method);
      lines_ += ' ';
      add_escaped(head.target);
      lines_ += ' ';
      lines_ += protocol_of(exchange);
      return;
    case 'm': return add_escaped(head.method);
    case 'U': return add_escaped(decoded_path(exchange));
    case 'q':
      if (head.query.size != 0) add_escaped(head.query);
      return;
    case 'H': lines_ += protocol_of(exchange); return;
    case 's': fmt::format_to(out, "{}", answered.status); return;
    case 'B':
    case 'b': fmt::format_to(out, "{}", answered.body_bytes); return;
    case 'f': return add_escaped(head.field("referer"));
    case 'a': return add_escaped(head.field("user-agent"));
    case 'T': fmt::format_to(out, "{}", took / 1s); return;
    case 'M': fmt::format_to(out, "{}", took / 1ms); return;
    case 'D': fmt::format_to(out, "{}", took / 1us); return;
    case 'L': fmt::format_to(out, "{}.{:06}", took / 1s, took / 1us % 1'000'000); return;
    case 'p': fmt::format_to(out, "<{}>", ::getpid()); return;
    default: return add_escaped(named_value(piece, exchange, answered));
  }
}

void AccessLog::add_escaped(std::string_view value) {
  if (value.empty()) {
    lines_ += '-';
    return;
  }
  value = value.substr(0, value_bytes_max);  // before it is escaped: no escape may be cut in two
  if (value.find_first_of("\"\\") == std::string_view::npos) {
    append_escaped(lines_, value);
    return;
  }
  std::string quoted;  // Gunicorn escapes the quote alone; a backslash too, or \x22 could be forged
  for (const char c : value) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  append_escaped(lines_, quoted);
}

void AccessLog::add_time() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != time_second_) {
    tm local{};
    ::localtime_r(&now.tv_sec, &local);
    char text[64];
    time_text_.assign(text, ::strftime(text, sizeof text, "[%d/%b/%Y:%H:%M:%S %z]", &local));
    time_second_ = now.tv_sec;
  }
  lines_ += time_text_;
}

// Whole lines, in messages of a limited size.
void AccessLog::send_records() noexcept {
  while (sent_ < lines_.size()) {
    const std::string_view left = std::string_view(lines_).substr(sent_);
    std::size_t end = left.rfind('\n', log_message_bytes_max);
    if (end == std::string_view::npos) end = left.find('\n');
    const LogDelivery sent = send_log_message(fd_, left.substr(0, end + 1));
    if (sent == LogDelivery::full) return;
    if (sent == LogDelivery::refused) ++lost_;
    sent_ += end + 1;
  }
  lines_.clear();
  sent_ = 0;
  if (lost_ == 0) return;
  log::warning("{} line(s) of the access log are lost: the log process was too slow", std::exchange(lost_, 0));
}

void AccessLog::finish() noexcept {
  flush();
  const Instant end = narwhal::now() + last_wait;
  while (is_collected_ && !lines_.empty() && narwhal::now() < end) {
    pollfd writable{fd_, POLLOUT, 0};
    ::poll(&writable, 1, 20);
    flush();
  }
}

void AccessLog::flush() noexcept {
  if (is_collected_) return send_records();
  // A full disk costs lines, not requests.
  [[maybe_unused]] const bool written = fd_ < 0 || write_all(fd_, lines_);
  lines_.clear();
}

}  // namespace narwhal::worker
