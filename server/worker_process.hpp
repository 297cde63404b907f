// WorkerProcess: one worker as the master sees it. Carries out what slot_policy.hpp decides.
// Trust  its pid is the sender of hello as the kernel reports it; reports at the wrong time change nothing.
// Life   kept until gone(): reaped, or its socket closed before it had a pid. Never waits.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/config.hpp"
#include "core/fd.hpp"
#include "core/seat.hpp"
#include "core/time_limit.hpp"
#include "server/death_notice.hpp"
#include "server/slot_policy.hpp"

namespace narwhal::server {

// Whether other workers accept on the listeners of a retired worker. If none does, it first accepts what waits in their
// queues.
enum class Successor { none, present };

class WorkerProcess {
 public:
  static constexpr std::chrono::seconds quick_stop{2};  // the time a worker has at a quick stop before SIGKILL

  // `socket` is the master's end of its pair. `generation` must outlive it.
  // `name`: what it is called in the log.
  WorkerProcess(std::uint32_t slot, Fd socket, const Generation& generation, Instant now, const char* name = "worker");

  // Reads its reports so far.
  void read_reports(Instant now);
  void apply(Event event, Instant now);
  void retire(Instant now, Successor successor);
  // While it serves: accepts nothing until it is let again.
  void withhold(bool withheld);
  bool is_withheld() const { return is_withheld_; }
  // waitpid() returned its pid.
  void reaped(int status, Instant now);
  // The template could not fork it.
  void never_forked(const std::string& reason, Instant now);
  // The time limit of its state, and its heartbeat as the scoreboard shows it.
  void check_time(Instant now);
  void check_heartbeat(Instant beat, Instant now);
  // The master itself did not run for a while: silence until now proves nothing.
  void restart_heartbeat_clock(Instant now) { beat_seen_ = now; }

  std::uint32_t slot() const { return slot_; }
  int socket() const { return socket_.get(); }
  pid_t pid() const { return pid_; }
  Life life() const { return life_; }
  bool gone() const { return life_ == Life::gone; }
  // Counts as one of its generation's workers.
  bool holds_place() const { return holds_place_; }
  Instant spawned() const { return spawned_; }
  Instant deadline() const { return deadline_; }
  bool has_served() const { return serving_since_ != unset; }
  std::chrono::nanoseconds served(Instant now) const {
    return has_served() ? now - serving_since_ : std::chrono::nanoseconds::zero();
  }
  // `file` is its log from now on. False if its queue is full.
  bool send_log(Order which, const Fd& file) const;
  Killer killer() const { return killer_; }
  // An operator's command: at once, with what it has in hand.
  void kill();
  // One of its requests had passed `timeout`.
  bool was_stuck() const { return was_stuck_; }
  // Whether its requests may be why it has died, and did not just run when it was ended for another reason.
  bool may_have_died_of_requests() const;
  // Why it is replaced, in a word for the statistics, or null: "timeout", "recycled", "heartbeat".
  const char* cause() const { return cause_; }
  std::optional<int> exit_status() const { return exit_status_; }
  // Files that its plugins have reported since the last call.
  std::vector<std::string> take_watched() { return std::exchange(watched_, {}); }
  // It has an exit status: the log line for its end.
  DeathNotice death() const;
  // Why it could not boot or died, in one line. Its own report `failed` comes first.
  std::string reason() const;
  // The server's exit code if this ends the first boot.
  int boot_exit_code() const;

 private:
  void handle_record(const Received& received, Instant now);
  void enter(Life life, Instant now);
  void carry_out(Action action);
  void order(Order kind);
  void signal(int signo);
  Instant deadline_for(Limit limit, Instant now) const;

  const Generation& generation_;
  const char* name_;
  const char* cause_ = nullptr;
  Successor successor_ = Successor::present;
  std::uint32_t slot_;
  Fd socket_;
  pid_t pid_ = 0;
  Life life_ = Life::spawning;
  bool holds_place_ = true;
  Killer killer_ = Killer::unknown;
  bool was_stuck_ = false, was_aborted_ = false, was_asked_to_leave_ = false;
  bool is_withheld_ = false;
  Instant spawned_;
  Instant serving_since_ = unset;
  Instant deadline_ = never;
  Instant beat_ = unset, beat_seen_ = unset;  // the last value, and when it changed
  std::string last_step_;
  std::string failure_;
  std::string late_;  // the limit that it exceeded, if it was killed because of that
  int failure_code_ = 0;
  std::vector<std::string> watched_;
  std::optional<int> exit_status_;
};

}  // namespace narwhal::server
