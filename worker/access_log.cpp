#include "worker/access_log.hpp"

#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <iterator>
#include <new>
#include <utility>

#include "core/escape.hpp"
#include "core/log.hpp"
#include "core/log_records.hpp"
#include "core/log_writer.hpp"
#include "worker/access_json.hpp"
#include "worker/exchange.hpp"

namespace narwhal::worker {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t value_bytes_max = 8 * 1024;  // of one atom, before it is escaped
constexpr std::size_t batch_bytes_max = 64 * 1024;
constexpr std::size_t backlog_bytes_max = 4 * 1024 * 1024;  // of lines that were not taken yet
constexpr std::size_t idle_bytes_max = 256 * 1024;          // of memory that is kept when all were
constexpr std::chrono::milliseconds last_wait{500};
constexpr std::chrono::milliseconds retry_interval{250};
constexpr std::chrono::seconds report_interval{5}, report_delay{1};

// A full disk may have room again, and a file over its limit may be replaced. A reader that has gone does not come back.
bool may_recover(int reason) noexcept {
  return reason == EAGAIN || reason == ENOSPC || reason == EDQUOT || reason == EFBIG || reason == ENOBUFS ||
         reason == ENOMEM;
}

// So many that a pipe takes all of them or none: lines of several workers do not mix. Or one longer line.
std::string_view whole_lines(std::string_view lines) noexcept {
  std::size_t end = lines.rfind('\n', PIPE_BUF - 1);
  if (end == std::string_view::npos) end = lines.find('\n');
  return lines.substr(0, end + 1);
}

}  // namespace

void AccessLog::open(int descriptor, const std::string& format) {
  output_ = LogOutput::of(descriptor);
  format_ = compile_access_format(format);
}

void AccessLog::open_collector(int socket, const std::string& format, bool with_all_headers) {
  open(socket, format);
  is_collected_ = format_.is_json = true;
  format_.has_all_headers = with_all_headers;
}

Result<Done> AccessLog::follow(const Fd& file) {
  flush();
  if (is_collected_ || !enabled()) return Done{};
  if (::dup3(file.get(), output_.fd, O_CLOEXEC) < 0) return errno_error("reopen the access log");
  output_ = LogOutput::of(output_.fd);
  is_failing_ = false;
  while (sent_ != 0 && lines_[sent_ - 1] != '\n') --sent_;  // the new file gets the whole line
  return Done{};
}

void AccessLog::add(const Exchange& exchange, const Answered& answered, Instant now) noexcept {
  const std::size_t before = lines_.size();
  if (unsent() > backlog_bytes_max) return drop(1);
  try {
    add_line(exchange, answered, now);
  } catch (const std::bad_alloc&) {
    lines_.resize(before);  // the whole line is left out, not half of it
    reason_ = ENOMEM;
    drop(1);
  }
  if (unsent() > batch_bytes_max && !is_blocked_) flush();
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
    case 's': fmt::format_to(out, "{:03}", answered.status); return;
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
    const LogDelivery sent = send_log_message(output_.fd, left.substr(0, end + 1));
    if (sent == LogDelivery::full) return not_taken(EAGAIN);
    if (sent == LogDelivery::refused) drop(1);
    sent_ += end + 1;
  }
  all_sent();
}

void AccessLog::send_lines() noexcept {
  if (is_failing_ && (narwhal::now() < retry_due_ || !finish_cut_line())) return;
  while (sent_ < lines_.size()) {
    const std::string_view left = std::string_view(lines_).substr(sent_);
    const ssize_t written = write_now(output_, output_.has_reader() ? whole_lines(left) : left);
    if (written <= 0) return not_taken(errno);
    sent_ += static_cast<std::size_t>(written);
  }
  all_sent();
}

// In a file a line that was cut off, perhaps by another worker, ends where it is, and is written again.
bool AccessLog::finish_cut_line() noexcept {
  if (output_.kind != LogOutput::Kind::file) return true;
  const bool is_ours = sent_ != 0 && lines_[sent_ - 1] != '\n';
  if (ends_in_a_cut_line(output_).value_or(is_ours) && write_now(output_, "\n") != 1) {
    not_taken(errno);
    return false;
  }
  while (sent_ != 0 && lines_[sent_ - 1] != '\n') --sent_;
  return true;
}

void AccessLog::not_taken(int reason) noexcept {
  is_blocked_ = true;
  is_failing_ = reason != EAGAIN;
  reason_ = reason;
  retry_due_ = narwhal::now() + retry_interval;
  if (!may_recover(reason)) return drop_unsent();
  // Not at each call: what is left may be long.
  if (sent_ <= lines_.size() / 2 || lines_[sent_ - 1] != '\n') return;
  lines_.erase(0, sent_);
  sent_ = 0;
}

void AccessLog::drop(std::uint64_t lines) noexcept {
  // Not after the first: it would be reported alone.
  if (unreported_ == 0) report_due_ = std::max(report_due_, narwhal::now() + report_delay);
  dropped_ += lines;
  unreported_ += lines;
}

void AccessLog::drop_unsent() noexcept {
  drop(static_cast<std::uint64_t>(std::count(lines_.begin() + static_cast<std::ptrdiff_t>(sent_), lines_.end(), '\n')));
  lines_.clear();
  sent_ = 0;
}

void AccessLog::all_sent() noexcept {
  is_blocked_ = is_failing_ = false;
  sent_ = 0;
  if (lines_.capacity() > idle_bytes_max) {
    lines_ = {};
  } else {
    lines_.clear();
  }
}

// Into the error log, when that can be written.
void AccessLog::report_dropped() noexcept {
  const Instant now = narwhal::now();
  if (now < report_due_) return;
  report_due_ = now + report_interval;
  const char* const why = is_collected_ && reason_ == EAGAIN ? "the log process is too slow" : reason_of_drop(reason_);
  const std::string_view subject = unreported_ == 1 ? "line of the access log was" : "lines of the access log were";
  char text[256];
  const auto end = fmt::format_to_n(text, sizeof text, "{} {} dropped: {}", unreported_, subject, why);
  if (log::write_if_possible(LogLevel::warning, {text, std::min(end.size, sizeof text)})) unreported_ = 0;
}

void AccessLog::finish() noexcept {
  flush();
  const Instant end = narwhal::now() + last_wait;
  while (!lines_.empty() && narwhal::now() < end) {
    pollfd writable{output_.fd, POLLOUT, 0};
    ::poll(&writable, is_failing_ ? 0 : 1, 20);
    flush();
  }
  drop_unsent();
  report_due_ = unset;
  if (unreported_ != 0) report_dropped();
}

bool AccessLog::flush_more() noexcept {
  const std::size_t before = unsent();
  flush();
  return has_slow_reader() && unsent() < before;
}

void AccessLog::flush() noexcept {
  if (!lines_.empty()) is_collected_ ? send_records() : send_lines();
  if (unreported_ != 0) report_dropped();
}

}  // namespace narwhal::worker
