#include "core/log_writer.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace narwhal {
namespace {

using namespace std::chrono_literals;

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::int64_t wait_ms_max = 100;  // in a second
constexpr std::chrono::seconds report_interval{5};
constexpr std::chrono::seconds retry_interval{1};

static_assert(std::atomic<Instant>::is_always_lock_free);

}  // namespace

bool LogWriter::put(LogOutput output, std::string_view lines, IfDropped dropped) noexcept {
  if (is_failing_.load(relaxed) && !finish_cut_line(output)) return failed(false, dropped);
  std::string_view left = lines;
  while (!left.empty()) {
    const ssize_t written = write_now(output, left);
    if (written > 0) {
      left.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EAGAIN || !wait_for_room(output)) {
      return failed(left.size() < lines.size(), dropped);
    }
  }
  if (is_failing_.load(relaxed)) is_failing_ = is_cut_ = is_stuck_ = false;
  return true;
}

// What was written of a line must not run into the next. In a file it may be another process's.
bool LogWriter::finish_cut_line(LogOutput output) noexcept {
  const std::optional<bool> cut =
      output.kind == LogOutput::Kind::file ? ends_in_a_cut_line(output) : std::optional<bool>();
  if (!cut.value_or(is_cut_.load(relaxed))) return true;
  if (write_now(output, "\n") != 1) return false;
  is_cut_.store(false, relaxed);
  return true;
}

bool LogWriter::wait_for_room(LogOutput output) noexcept {
  if (is_stuck_.load(relaxed)) return false;
  const Instant began = narwhal::now();
  if (began - wait_began_.load(relaxed) > 1s) {
    wait_began_.store(began, relaxed);
    waited_ms_.store(0, relaxed);
  }
  const std::int64_t left = wait_ms_max - waited_ms_.load(relaxed);
  if (left <= 0) return false;
  pollfd writable{output.fd, POLLOUT, 0};
  const bool has_room = ::poll(&writable, 1, static_cast<int>(left)) > 0;
  waited_ms_.fetch_add(std::max<std::int64_t>((narwhal::now() - began) / 1ms, 1), relaxed);
  if (!has_room) errno = EAGAIN;
  return has_room;
}

bool LogWriter::failed(bool is_cut, IfDropped dropped) noexcept {
  is_stuck_.store(errno == EAGAIN, relaxed);
  if (is_cut) is_cut_.store(true, relaxed);
  is_failing_.store(true, relaxed);
  if (dropped == IfDropped::do_not_count) return false;
  reason_.store(errno, relaxed);
  dropped_.fetch_add(1, relaxed);
  unreported_.fetch_add(1, relaxed);
  return false;
}

Instant LogWriter::report_due() const noexcept {
  return unreported_.load(relaxed) == 0 ? never : report_due_.load(relaxed);
}

LogWriter::Report LogWriter::take_report(Instant now) noexcept {
  Instant due = report_due_.load(relaxed);
  if (now < due || !report_due_.compare_exchange_strong(due, now + report_interval)) return {};
  return {unreported_.exchange(0), reason_.load(relaxed)};
}

void LogWriter::report_failed(const Report& report, Instant now) noexcept {
  unreported_.fetch_add(report.lines);
  report_due_.store(now + retry_interval);
}

void LogWriter::begin_process() noexcept {
  dropped_ = unreported_ = 0;
  is_failing_ = is_cut_ = is_stuck_ = false;
}

const char* reason_of_drop(int reason) noexcept {
  return reason == EAGAIN ? "its reader takes none" : std::strerror(reason);
}

}  // namespace narwhal
