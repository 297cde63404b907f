// TemplateProcess: a generation's template as the master sees it. It loads the plugins once and forks workers on order.
// Life   start() forks it; when it has ended, reaped() leaves it absent and start() may be called again.
//        Destroy it only while absent, when its pid has been reaped.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/child.hpp"
#include "core/fd.hpp"
#include "core/scoreboard.hpp"
#include "core/seat.hpp"
#include "core/time_limit.hpp"
#include "server/plan.hpp"
#include "server/site.hpp"

namespace narwhal::server {

class TemplateProcess {
 public:
  enum class State { absent, loading, loaded, leaving };
  struct ForkFailure {
    std::uint32_t slot;
    std::string reason;
  };

  // Both must outlive it.
  TemplateProcess(const Plan& plan, Site& site) : plan_(plan), site_(site) {}

  Result<Done> start(Instant now);
  // Reads its reports so far; returns the forks that failed.
  std::vector<ForkFailure> read_reports(Instant now);
  // False if its queue is full: try again a little later.
  bool spawn(std::uint32_t slot, int worker_end);
  // Workers that are forked from now on have this log. False as above.
  bool send_log(Order which, const Fd& file);
  // It forks no more and closes the listeners.
  void leave();
  // After leave(), when its last worker has ended.
  void end(Instant now);
  void kill();
  void check_time(Instant now);
  void reaped(int status, Instant now);

  State state() const { return state_; }
  int socket() const { return socket_.get(); }
  pid_t pid() const { return child_ ? child_->pid() : 0; }
  Instant started() const { return started_; }
  Instant deadline() const { return deadline_; }
  // Files that its plugins have reported since the last call.
  std::vector<std::string> take_watched() { return std::exchange(watched_, {}); }
  // Neither end() nor kill() was called. Valid once it is absent.
  bool ended_unasked() const { return !was_ended_; }
  // Why it ended, in one line. Valid once it is absent.
  std::string reason() const;
  // The server's exit code if this ends the first boot.
  int boot_exit_code() const { return failure_code_ == exit_boot_failed ? exit_boot_failed : exit_app_failed; }

 private:
  int run_in_child(Fd socket) const;
  Result<Fd> open_logs(int log_socket) const;
  Result<Fd> open_learned_calls() const;
  Result<Done> enter_child() const;

  const Plan& plan_;
  Fd code_files_;  // memory that the workers of all its processes share: worker/code_files.hpp
  Site& site_;
  State state_ = State::absent;
  std::optional<Child> child_;
  Fd socket_;
  Instant started_ = unset;
  Instant deadline_ = never;
  std::string last_step_, failure_, late_, end_;
  int failure_code_ = 0;
  bool was_ended_ = false;
  std::vector<std::string> watched_;
};

}  // namespace narwhal::server
