#include "server/hook_process.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/child.hpp"
#include "core/log.hpp"
#include "core/time_limit.hpp"
#include "server/config/gunicorn_file.hpp"
#include "server/config/settings_json.hpp"

namespace narwhal::server {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds look_for_end{500};     // a hook's own children may hold the socket open
constexpr std::chrono::milliseconds end_after_close{500};  // of a process whose socket is closed, before it is killed

std::string_view name_of(std::string_view message) { return message.substr(0, message.find(' ')); }

}  // namespace

HookProcess::HookProcess(PythonConfigReading reading, const Config& config)
    : process_(std::move(reading)),
      settings_("settings " + settings_json(config)),
      limit_(config.boot_timeout),
      calls_{settings_} {}

HookProcess::~HookProcess() {
  if (stage_ == Stage::ready && !is_closed()) process_.leave();
}

void HookProcess::call(std::string message) {
  if (stage_ != Stage::off) calls_.push_back(std::move(message));
}

std::string_view HookProcess::first_call() const { return calls_.empty() ? "" : name_of(calls_.front()); }

Instant HookProcess::deadline() const {
  if (is_closed() && is_alive()) return kill_at_;
  switch (stage_) {
    case Stage::busy: return std::min(deadline_, Instant(narwhal::now() + look_for_end));
    case Stage::reading: return process_.deadline();
    case Stage::ready:
    case Stage::ended: return calls_.empty() ? never : narwhal::now();
    case Stage::off: return never;
  }
  return never;
}

void HookProcess::settle(Instant now) {
  if (stage_ == Stage::off) return;
  if (stage_ == Stage::reading) read_again(now);
  read_messages(now);
  check_end(now);
  check_time(now);
  if (calls_.empty() || stage_ == Stage::busy || stage_ == Stage::reading || is_closed()) return;
  if (stage_ == Stage::ended) return start_again();
  send_next(now);
}

void HookProcess::read_again(Instant now) {
  if (!process_.read_answer() && now < process_.deadline()) return;
  const auto answer = process_.finish(now);
  if (!answer) return switch_off(answer.error());
  const GunicornFile file = read_gunicorn_answer(*answer, process_.request().shown_name);
  if (!file.layer.faults.empty()) return switch_off(file.layer.faults.front());
  stage_ = Stage::ready;
}

void HookProcess::read_messages(Instant now) {
  char bytes[128 * 1024];
  // Also when ready: a thread of the file may write to the log at any time.
  while ((stage_ == Stage::busy || stage_ == Stage::ready) && !is_closed()) {
    const ssize_t size = ::recv(process_.descriptor(), bytes, sizeof bytes, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) return closed(now);
    take_message({bytes, static_cast<std::size_t>(size)});
    if (stage_ == Stage::ready && !calls_.empty()) send_next(now);
  }
}

void HookProcess::take_message(std::string_view message) {
  if (message.front() == 'd' && stage_ == Stage::busy) return returned();
  if (message.front() != 'l' || message.size() < 2) return;
  const auto level = static_cast<LogLevel>(std::clamp(message[1] - '0', 0, static_cast<int>(LogLevel::critical)));
  message.remove_prefix(2);
  const std::size_t end = std::min(message.find('\0'), message.size());
  const std::string_view text = message.substr(std::min(end + 1, message.size()));
  const std::string_view line = message.substr(0, end);
  if (!log::enabled(level)) return;
  if (text.empty()) return log::write(level, line);
  log::write(level, line, text);
}

// Its process is ending in most cases: how it ended is known a moment later.
void HookProcess::closed(Instant now) {
  process_.close();
  kill_at_ = now + end_after_close;
}

void HookProcess::returned() {
  has_returned_ = true;
  calls_.pop_front();
  stage_ = Stage::ready;
  deadline_ = never;
}

void HookProcess::check_end(Instant now) {
  if (stage_ != Stage::busy && stage_ != Stage::ready) return;
  const bool has_ended = process_.ended();
  if (!has_ended && now < kill_at_) return;
  process_.end();
  kill_at_ = never;
  const std::string end = has_ended ? describe_exit(process_.status()) : "has closed its connection to the server";
  if (!has_returned_) return switch_off("its process " + end);
  if (stage_ == Stage::busy) {
    log::error("Hook {} of {}: its process {}; the server goes on", name_of(calls_.front()),
               process_.request().shown_name, end);
    calls_.pop_front();
  } else {
    log::warning("The process for the hooks of {} {}: it is started again for the next hook",
                 process_.request().shown_name, end);
  }
  stage_ = Stage::ended;
}

void HookProcess::check_time(Instant now) {
  if (stage_ != Stage::busy || is_closed() || now < deadline_) return;
  log::error("Hook {} of {} has not returned within boot_timeout ({} s): its process is ended, the server goes on",
             name_of(calls_.front()), process_.request().shown_name, limit_.count());
  process_.end();
  calls_.pop_front();
  stage_ = Stage::ended;
}

void HookProcess::send_next(Instant now) {
  const std::string& message = calls_.front();
  if (::send(process_.descriptor(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno == EPIPE || errno == ECONNRESET) return closed(now);
    return switch_off(errno_error("send " + std::string(name_of(message))).message);
  }
  stage_ = Stage::busy;
  deadline_ = deadline_after(now, limit_);
}

void HookProcess::start_again() {
  auto started = PythonConfigReading::start(process_.request());
  if (!started) return switch_off(started.error());
  process_ = *std::move(started);
  calls_.push_front(settings_);
  has_returned_ = false;
  stage_ = Stage::reading;
}

void HookProcess::switch_off(const std::string& why) {
  log::error("Hooks of {} do not run any more: {}; send HUP when this is fixed", process_.request().shown_name, why);
  process_.end();
  calls_.clear();
  stage_ = Stage::off;
}

void HookProcess::rest() {
  if (stage_ != Stage::ready || is_closed() || !idle()) return;
  process_.leave();
  stage_ = Stage::ended;
}

void HookProcess::end_within(std::chrono::milliseconds limit) {
  process_.close();
  const Instant end = narwhal::now() + limit;
  while (!process_.ended() && narwhal::now() < end) ::poll(nullptr, 0, 5);
  process_.end();
  stage_ = Stage::off;
}

}  // namespace narwhal::server
