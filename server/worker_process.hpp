// WorkerProcess: one worker as the master sees it. Carries out what slot_policy.hpp decides.
// Trust  only hello's sender, by the kernel's word, becomes its pid; words out of place change nothing.
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
#include "server/slot_policy.hpp"
#include "server/time_limit.hpp"

namespace narwhal::server {

// Who accepts on the listeners of a worker that is retired. With nobody, it first takes what waits in their queues.
enum class Successor { none, present };

class WorkerProcess {
 public:
  static constexpr std::chrono::seconds quick_stop{2};  // what a quick stop leaves a worker before SIGKILL

  // `socket` is the master's end of its pair. `generation` outlives it.
  WorkerProcess(std::uint32_t slot, Fd socket, const Generation& generation, std::uint64_t now);

  // Reads what it has said so far.
  void hear(std::uint64_t now);
  void happen(Event event, std::uint64_t now);
  void retire(std::uint64_t now, Successor successor);
  // waitpid() returned its pid.
  void reaped(int status, std::uint64_t now);
  // The template could not fork it.
  void never_forked(const std::string& reason, std::uint64_t now);
  // The time limit of its life, and its heartbeat as the scoreboard shows it.
  void check_time(std::uint64_t now);
  void check_heartbeat(std::uint64_t beat, std::uint64_t now);
  // The master itself did not run for a while: silence until now proves nothing.
  void forgive_silence(std::uint64_t now) { beat_seen_ns_ = now; }

  std::uint32_t slot() const { return slot_; }
  int socket() const { return socket_.get(); }
  pid_t pid() const { return pid_; }
  Life life() const { return life_; }
  bool gone() const { return life_ == Life::gone; }
  // Counts as one of its generation's workers.
  bool holds_place() const { return holds_place_; }
  std::uint64_t spawned_ns() const { return spawned_ns_; }
  std::uint64_t deadline_ns() const { return deadline_ns_; }
  // How long it served; 0 when it never did.
  std::uint64_t served_ns(std::uint64_t now) const { return serving_since_ns_ == 0 ? 0 : now - serving_since_ns_; }
  // What comes along is its log from now on. False when its queue is full.
  bool hand_log(Order which, const Fd& file) const;
  bool killed_by_master() const { return killed_by_master_; }
  std::optional<int> exit_status() const { return exit_status_; }
  // Files that its plugins have named since the last call.
  std::vector<std::string> take_watched() { return std::exchange(watched_, {}); }
  // Why it could not boot or died, in one line. `failed` words of its own win.
  std::string reason() const;
  // What the server's exit code is to be if this ends the first boot.
  int boot_exit_code() const;
  bool said_why() const { return !failure_.empty(); }
  const std::string& failure() const { return failure_; }

 private:
  void take(const Received& received, std::uint64_t now);
  void enter(Life life, std::uint64_t now);
  void carry_out(Action action);
  void order(Order kind);
  void signal(int signo);
  std::uint64_t deadline_for(Limit limit, std::uint64_t now) const;

  const Generation& generation_;
  Successor successor_ = Successor::present;
  std::uint32_t slot_;
  Fd socket_;
  pid_t pid_ = 0;
  Life life_ = Life::spawning;
  bool holds_place_ = true;
  bool killed_by_master_ = false;
  std::uint64_t spawned_ns_;
  std::uint64_t serving_since_ns_ = 0;
  std::uint64_t deadline_ns_ = never_ns;
  std::uint64_t beat_ = 0, beat_seen_ns_ = 0;  // the last value, and when it was new
  std::string last_step_;
  std::string failure_;
  std::string late_;  // what it was late with, once it was killed for it
  int failure_code_ = 0;
  std::vector<std::string> watched_;
  std::optional<int> exit_status_;
};

}  // namespace narwhal::server
