// LogRun: one Python process that writes the logs, from its start to its end. server/log_runner.py is its program.
// Messages  over a SOCK_SEQPACKET pair. To it: the program and its settings in JSON first, then 'g' (begin to read the lines), 'o' (open
//           the files again), 's' (end after the line in hand). From it: 'r' when the settings work, or 'f' and a reason.
// Ownership a run owns its process, and kills it when destroyed.
#pragma once

#include <poll.h>

#include <chrono>
#include <memory>
#include <string>

#include "core/child.hpp"
#include "core/clock.hpp"
#include "core/config.hpp"
#include "core/fd.hpp"
#include "core/result.hpp"

namespace narwhal::server {

class LogRun {
 public:
  enum class State { starting, ready, failed };

  // `lines` is the socket that the lines arrive at.
  static Result<std::unique_ptr<LogRun>> start(const Config& config, int lines);
  LogRun(const LogRun&) = delete;
  LogRun& operator=(const LogRun&) = delete;
  ~LogRun();

  State state() const { return state_; }
  const std::string& fault() const { return fault_; }
  pid_t pid() const { return child_.pid(); }  // 0: reaped
  int descriptor() const { return socket_.get(); }
  Instant started() const { return started_; }
  Instant deadline() const { return state_ == State::starting ? deadline_ : never; }

  // Reads its answer and checks its time, without waiting.
  void settle(Instant now);
  void send(char message) const;
  // True: this child was ours.
  bool reaped(pid_t pid, int status);
  // After the last line: waits until it ends by itself, for this long at most.
  void end_within(std::chrono::milliseconds limit);

 private:
  LogRun(Child child, Fd socket, Instant now, Instant deadline)
      : child_(std::move(child)), socket_(std::move(socket)), started_(now), deadline_(deadline) {}
  void fail(std::string why);
  void kill();

  Child child_;
  Fd socket_;
  State state_ = State::starting;
  std::string fault_;
  Instant started_, deadline_;
};

// A whole start, and the end: for --check-config. The error is the process's reason.
Result<Done> check_log_settings(const Config& config);

}  // namespace narwhal::server
