#include "server/log_process.hpp"

#include <algorithm>
#include <utility>

#include "core/log.hpp"

namespace narwhal::server {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds last_lines{3};  // that it gets at the end of the server

void wait_until_ready(LogRun& run, Instant limit) {
  for (Instant now = narwhal::now(); run.state() == LogRun::State::starting && now < limit; now = narwhal::now()) {
    const auto left = std::clamp<std::chrono::nanoseconds>(std::min(run.deadline(), limit) - now, 0s, 1s);
    pollfd watched{run.descriptor(), POLLIN, 0};
    ::poll(&watched, 1, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
    run.settle(narwhal::now());
  }
}

}  // namespace

Result<Done> LogProcess::open_sockets() { return sockets_.writer ? Result<Done>(Done{}) : open_log_sockets(sockets_); }

Result<Done> LogProcess::begin(const Config& config) {
  config_ = config;
  if (!needs_log_process(config)) return Done{};
  if (const auto opened = open_sockets(); !opened) return opened;
  auto started = LogRun::start(config, sockets_.reader.get());
  if (!started) return Error{started.error()};
  run_ = *std::move(started);
  wait_until_ready(*run_, never);
  if (run_->state() == LogRun::State::failed) return Error{run_->fault()};
  run_->send('g');
  log::collect(sockets_.writer.get());
  return Done{};
}

void LogProcess::prepare(const Config& config) {
  discard();
  if (!needs_log_process(config)) return;
  const auto opened = open_sockets();
  if (!opened) return void(fault_ = opened.error());
  auto started = LogRun::start(config, sockets_.reader.get());
  if (started) {
    next_ = *std::move(started);
  } else {
    fault_ = started.error();
  }
}

const std::string* LogProcess::fault() const {
  if (!fault_.empty()) return &fault_;
  return next_ && next_->state() == LogRun::State::failed ? &next_->fault() : nullptr;
}

void LogProcess::discard() {
  next_.reset();
  fault_.clear();
}

// An old process whose settings are not needed any more reads on, for the workers that are leaving.
void LogProcess::take_over(const Config& config) {
  log::collect(socket_for(config));
  if (!next_) return;
  stop();
  config_ = config;
  run_ = std::move(next_);
  run_->send('g');
  backoff_.recovered();
}

void LogProcess::stop() {
  due_ = never;
  if (!run_) return;
  run_->send('s');
  run_->end_within(100ms);
  run_.reset();
}

void LogProcess::add_sockets(std::vector<pollfd>& watched) const {
  for (const auto* run : {&run_, &next_}) {
    if (*run && (*run)->state() == LogRun::State::starting) watched.push_back({(*run)->descriptor(), POLLIN, 0});
  }
}

Instant LogProcess::deadline() const {
  Instant next = due_;
  for (const auto* run : {&run_, &next_}) {
    if (*run) next = std::min(next, (*run)->deadline());
  }
  return next;
}

void LogProcess::settle(Instant now, std::uint32_t dice) {
  if (next_) next_->settle(now);
  if (run_ && run_->state() == LogRun::State::starting) {
    run_->settle(now);
    if (run_->state() == LogRun::State::ready) run_->send('g');
    if (run_->state() == LogRun::State::failed) {
      const std::string why = run_->fault();
      run_.reset();
      failed_again(why, dice);
    }
  }
  if (now >= due_) start_again(dice);
}

void LogProcess::start_again(std::uint32_t dice) {
  due_ = never;
  auto started = LogRun::start(config_, sockets_.reader.get());
  if (!started) return failed_again(started.error(), dice);
  run_ = *std::move(started);
}

// Not a line for the log process itself: an operator must see it now.
void LogProcess::failed_again(const std::string& why, std::uint32_t dice) {
  ++failures_;
  const auto delay = backoff_.failed(dice);
  due_ = narwhal::now() + delay;
  log::write_to_target(LogLevel::error, fmt::format("{}; it is started again in {:.1f} s, and reads on", why,
                                                    std::chrono::duration<double>(delay).count()));
}

bool LogProcess::reaped(pid_t pid, int status, std::uint32_t dice) {
  if (next_ && next_->reaped(pid, status)) {  // before it is ready, settle() sees the end of its socket
    if (next_->state() == LogRun::State::ready) fault_ = "the log process " + describe_exit(status);
    return true;
  }
  if (!run_ || !run_->reaped(pid, status)) return false;
  if (run_->state() == LogRun::State::starting) return true;
  const bool lived_long = narwhal::now() - run_->started() >= Backoff::long_life;
  if (lived_long) backoff_.recovered();
  run_.reset();
  failed_again("The log process (pid:" + std::to_string(pid) + ") " + describe_exit(status), dice);
  return true;
}

void LogProcess::reopen() const {
  if (run_) run_->send('o');
}

void LogProcess::count_workers(unsigned serving) {
  if (!run_ || workers_ == serving) return;
  workers_ = serving;
  log::metric({"gunicorn.workers", "gauge", static_cast<long>(serving)},
              fmt::format("{} worker{}", serving, serving == 1 ? "" : "s"));
}

void LogProcess::end() {
  discard();
  if (!sockets_.writer) return;
  log::collect(-1);
  if (!run_ && due_ != never) start_again(0);  // for the lines that wait with it
  sockets_.writer = Fd();
  if (run_ && run_->state() == LogRun::State::starting) {
    wait_until_ready(*run_, narwhal::now() + last_lines);
    run_->send('g');
  }
  if (run_) run_->end_within(last_lines);
  run_.reset();
}

}  // namespace narwhal::server
