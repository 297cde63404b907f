// LiveGeneration: a running generation: its template and its workers (worker_pool.hpp).
// Life     booting (no worker accepts) -> admit() -> serving -> retire() or quit() -> leaving -> gone().
// Failure  while booting, the first template or worker that cannot boot sets failure(), and the caller quits the
//          generation. While serving, a process that dies is started again: at once if it lived long, else with
//          back-off.
// Blocks   never: every wait is a state and a deadline.
#pragma once

#include <poll.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/clock.hpp"
#include "server/backoff.hpp"
#include "server/boot_failure.hpp"
#include "server/crash_watch.hpp"
#include "server/plan.hpp"
#include "server/site.hpp"
#include "server/template_process.hpp"
#include "server/worker_pool.hpp"

namespace narwhal::server {

class LiveGeneration {
 public:
  // Forks the template. `site` outlives it.
  LiveGeneration(Plan plan, Site& site, Instant now);
  LiveGeneration(const LiveGeneration&) = delete;
  LiveGeneration& operator=(const LiveGeneration&) = delete;

  // What poll() must watch, and until when.
  void add_sockets(std::vector<pollfd>& watched) const;
  Instant next_deadline(Instant now) const;

  // The turn of the master's loop, in this order. `readable` is sorted.
  void read_reports(std::span<const int> readable, Instant now);
  bool reaped(pid_t pid, int status, Instant now);  // false: not a process of this generation
  void settle(Instant now);                         // time limits, dead workers, admissions, new workers

  // Every worker is ready and none accepts yet.
  bool ready() const { return workers_.phase() == Phase::booting && !failure() && workers_.all_ready(); }
  const std::optional<BootFailure>& failure() const {
    return template_failure_ ? template_failure_ : workers_.failure();
  }
  bool gone() const {
    return workers_.phase() == Phase::leaving && workers_.empty() &&
           template_.state() == TemplateProcess::State::absent;
  }

  void admit(Instant now);
  void retire(Instant now, Successor successor);
  void quit(Instant now);
  void kill(Instant now);
  // Opens log files again, with the master's rights, and hands them to template and workers.
  void reopen_logs();
  void set_target(unsigned workers) { workers_.set_target(workers); }
  void withhold(unsigned workers) { workers_.withhold(workers); }
  void restart_heartbeat_clock(Instant now) { workers_.restart_heartbeat_clock(now); }

  const Plan& plan() const { return plan_; }
  std::uint64_t number() const { return plan_.number(); }
  unsigned target() const { return workers_.target(); }
  std::size_t workers_serving() const { return workers_.serving(); }
  Instant started() const { return started_; }
  const CrashWatch& crashes() const { return workers_.crashes(); }
  unsigned crash_count() const { return workers_.crash_count(); }
  template <class Callback>
  void for_each_slot(Callback callback) const {
    workers_.for_each_slot(callback);
  }
  GenerationFacts facts() const;
  WorkerProcess* find_worker(pid_t pid) { return workers_.find(pid); }

 private:
  using Phase = WorkerPool::Phase;

  void read_template_reports(Instant now);
  void template_ended(Instant now);
  void restart_template(Instant now);
  void add_watched_files(Instant now);
  void leave();
  void end_template(Instant now);  // once the last worker has ended
  void send_log(Order which, const std::string& target);

  Plan plan_;
  Site& site_;
  TemplateProcess template_;
  WorkerPool workers_;
  Instant started_;
  Instant template_due_ = never;
  Backoff template_backoff_;
  std::optional<BootFailure> template_failure_;
};

}  // namespace narwhal::server
