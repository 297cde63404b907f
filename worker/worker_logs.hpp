// WorkerLogs: the access log of a worker, and what its two logs have dropped: on the scoreboard.
// Threads  the holder of the baton.
#pragma once

#include <uv.h>

#include "core/records.hpp"
#include "core/scoreboard.hpp"
#include "core/seat.hpp"
#include "worker/access_log.hpp"

namespace narwhal::worker {

class WorkerLogs {
 public:
  explicit WorkerLogs(WorkerSlot& slot) noexcept : slot_(slot) {}  // which outlives this

  void open(uv_loop_t* loop, const Seat& seat);
  AccessLog& access() noexcept { return access_; }
  // error_log or access_log has been reopened.
  void follow(Order which, const Fd& file);
  void tick() noexcept;
  void finish() noexcept;  // the last lines: waits for a moment

 private:
  static void flush_more(uv_timer_t* timer) noexcept;
  void publish() noexcept;

  WorkerSlot& slot_;
  AccessLog access_;
  uv_timer_t timer_{};
};

}  // namespace narwhal::worker
