#include "worker/worker_logs.hpp"

#include <unistd.h>

#include <chrono>

#include "core/log.hpp"
#include "core/log_records.hpp"

namespace narwhal::worker {
namespace {

constexpr std::chrono::milliseconds turn{10};
constexpr auto relaxed = std::memory_order_relaxed;

void open_access_log(AccessLog& log, const Seat& seat) {
  const Config& config = seat.generation->config;
  if (logs_requests(config))
    return log.open_collector(seat.log_socket, config.access_log_format, logs_all_headers(config));
  if (needs_log_process(config)) return;
  const bool is_stdout = config.accesslog == "-" && seat.access_log < 0;
  log.open(is_stdout ? STDOUT_FILENO : seat.access_log, config.access_log_format);
}

}  // namespace

void WorkerLogs::open(uv_loop_t* loop, const Seat& seat) {
  uv_timer_init(loop, &timer_);
  timer_.data = this;
  open_access_log(access_, seat);
}

void WorkerLogs::follow(Order which, const Fd& file) {
  const auto done = which == Order::error_log ? log::follow(file) : access_.follow(file);
  if (!done) log::error("{}", done.error());
}

void WorkerLogs::tick() noexcept {
  if (access_.enabled()) access_.flush();  // what was not taken
  if (access_.has_slow_reader()) uv_timer_start(&timer_, flush_more, turn.count(), turn.count());
  log::report_dropped();
  publish();
}

// A pipe holds much less than the lines that may wait for it: with the tick alone they would take many seconds.
void WorkerLogs::flush_more(uv_timer_t* timer) noexcept {
  if (!static_cast<WorkerLogs*>(timer->data)->access_.flush_more()) uv_timer_stop(timer);
}

void WorkerLogs::finish() noexcept {
  access_.finish();
  log::report_dropped();
  publish();
}

void WorkerLogs::publish() noexcept {
  slot_.log_dropped.store(access_.dropped() + log::dropped(), relaxed);
  slot_.log_unreported.store(access_.unreported() + log::unreported(), relaxed);
}

}  // namespace narwhal::worker
