// WorkerPool: the workers of one generation, and the places among them that are vacant.
// Places   target() workers hold a place. A worker that dies or is replaced leaves a vacancy, which is filled at once or,
//          after deaths at the boot or before the first answer, with back-off (successor_policy.hpp). A worker that drains, or that is about to be replaced,
//          no longer holds its place.
// Failure  while booting, the first worker that cannot boot sets failure(); later a worker that dies is replaced.
// Blocks   never: every wait is a state and a deadline.
#pragma once

#include <poll.h>

#include <list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/clock.hpp"
#include "core/server_state.hpp"
#include "server/backoff.hpp"
#include "server/boot_failure.hpp"
#include "server/crash_watch.hpp"
#include "server/plan.hpp"
#include "server/site.hpp"
#include "server/template_process.hpp"
#include "server/worker_process.hpp"

namespace narwhal::server {

class WorkerPool {
 public:
  enum class Phase { booting, serving, leaving };

  // All three outlive it. The workers are forked by the template.
  WorkerPool(const Plan& plan, Site& site, TemplateProcess& parent)
      : plan_(plan), site_(site), template_(parent), target_(plan.config().workers) {}

  // What poll() must watch, and until when.
  void add_sockets(std::vector<pollfd>& watched) const;
  Instant next_deadline(Instant now) const;

  // `readable` is sorted.
  void read_reports(std::span<const int> readable, Instant now);
  // The template could not fork the worker of this slot.
  void never_forked(std::uint32_t slot, const std::string& reason, Instant now);
  bool reaped(pid_t pid, int status, Instant now);  // false: not a process of this pool
  // Files that plugins have reported since the last call.
  std::vector<std::string> take_watched();
  // Time limits and heartbeats. A template that does not fork is killed.
  void check_time(Instant now);
  // Workers that became ready are admitted if the generation serves; those that ended are logged and removed.
  void admit_and_remove(Instant now);
  // Brings the number of workers to the target.
  void fill_places(Instant now);

  void admit(Instant now);
  void retire(Instant now, Successor successor);
  void quit(Instant now);  // before the admission: the generation is discarded, and deaths are not logged
  void kill(Instant now);  // those that quit
  // False if the queue of a worker is full.
  bool send_log(Order which, const Fd& file) const;
  void restart_heartbeat_clock(Instant now);
  // So many of those that serve accept nothing; 0: all accept again.
  void withhold(unsigned workers);
  void set_target(unsigned workers) { target_ = workers; }

  Phase phase() const { return phase_; }
  unsigned target() const { return target_; }
  bool empty() const { return workers_.empty(); }
  const std::optional<BootFailure>& failure() const { return failure_; }
  bool all_ready() const;  // as many as the target, and none accepts yet
  std::size_t serving() const;
  std::vector<WorkerFacts> facts() const;
  // The worker with this pid: null if it is not one of these.
  WorkerProcess* find(pid_t pid);
  const CrashWatch& crashes() const { return crashes_; }
  unsigned crash_count() const { return crash_count_; }  // of workers that had been admitted or were to be
  template <class Callback>
  void for_each_slot(Callback callback) const {
    for (const WorkerProcess& worker : workers_) callback(worker.slot());
  }

 private:
  void read_reports_of(WorkerProcess& worker, Instant now);
  void remove_ended(WorkerProcess& worker, Instant now);
  void note_vacancy(const WorkerProcess& worker, bool held_place, Instant now);
  void replace(const WorkerProcess& dead, std::uint64_t answered, Instant now);
  void retire_replaced(Instant now);
  void adjust_places(Instant now);
  bool may_spawn() const;
  // Both return when to try again; `never` if the vacancy is filled.
  Instant spawn(Instant now);
  Instant cannot_spawn(const std::string& reason, Instant now);

  const Plan& plan_;
  Site& site_;
  TemplateProcess& template_;
  std::list<WorkerProcess> workers_;  // oldest first
  std::vector<Instant> vacancies_;    // when to fill each
  Phase phase_ = Phase::booting;
  unsigned target_;
  Backoff backoff_;
  Instant last_failure_ = unset;
  CrashWatch crashes_;
  unsigned crash_count_ = 0;
  bool discarded_ = false;
  std::optional<BootFailure> failure_;
};

}  // namespace narwhal::server
