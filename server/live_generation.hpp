// LiveGeneration: a running generation: its template, its workers, and the number of workers it should have.
// Life     booting (no worker accepts) -> admit() -> serving -> retire() or quit() -> leaving -> gone().
// Failure  while booting, the first template or worker that cannot boot sets failure(), and the caller quits the
//          generation. While serving, a process that dies is started again: at once if it lived long, else with
//          back-off.
// Blocks   never: every wait is a state and a deadline.
#pragma once

#include <poll.h>

#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/clock.hpp"
#include "server/backoff.hpp"
#include "server/plan.hpp"
#include "server/site.hpp"
#include "server/template_process.hpp"
#include "server/worker_process.hpp"

namespace narwhal::server {

class LiveGeneration {
 public:
  enum class Phase { booting, serving, leaving };
  struct BootFailure {
    std::string step;    // "load" or "boot"
    std::string reason;  // one line
    int exit_code;       // of the server, at its first boot
  };

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
  bool ready() const;
  const std::optional<BootFailure>& failure() const { return failure_; }
  bool gone() const { return phase_ == Phase::leaving && workers_.empty() && template_.state() == State::absent; }

  void admit(Instant now);
  void retire(Instant now, Successor successor);
  void quit(Instant now);
  void kill(Instant now);
  // Opens log files again, with the master's rights, and hands them to template and workers.
  void reopen_logs();
  void set_target(unsigned workers) { target_ = workers; }
  void restart_heartbeat_clock(Instant now);

  const Plan& plan() const { return plan_; }
  std::uint64_t number() const { return plan_.number(); }
  unsigned target() const { return target_; }
  std::size_t workers_serving() const;
  Instant started() const { return started_; }
  // Since it was admitted, workers crashed before they were ready or soon after, and so did their replacements. Several
  // deaths at the same time are not enough: the cause may be an operator or the machine.
  bool crash_loops() const { return young_crashes_ >= 3 && repeated_crashes_ >= 2; }
  unsigned young_crashes() const { return young_crashes_; }

 private:
  using State = TemplateProcess::State;

  void read_template_reports(Instant now);
  void template_ended(Instant now);
  void restart_template(Instant now);
  void add_watched_files(Instant now);
  void check_time(Instant now);
  void remove_ended(WorkerProcess& worker, Instant now);
  void log_death(const WorkerProcess& worker, Instant now) const;
  void replace(const WorkerProcess& dead, bool crash, Instant now);
  bool recovered_since_last_failure(Instant now) const;
  void replace_stuck(Instant now);
  void adjust_places(Instant now);
  void fill_vacancies(Instant now);
  bool may_spawn() const;
  // Both return when to try again; `never` if the vacancy is filled.
  Instant spawn(Instant now);
  Instant cannot_spawn(const std::string& reason, Instant now);
  void fail_boot(std::string step, std::string reason, int exit_code);
  void apply_to_all(Event event, Instant now);
  void send_log(Order which, const std::string& target);
  std::size_t places_held() const;

  Plan plan_;
  Site& site_;
  TemplateProcess template_;
  std::list<WorkerProcess> workers_;  // oldest first
  std::vector<Instant> vacancies_;    // when to fill each
  Phase phase_ = Phase::booting;
  unsigned target_;
  Instant started_;
  Instant template_due_ = never;
  Backoff worker_backoff_, template_backoff_;
  Instant last_failure_ = unset;
  Instant admitted_ = unset;
  unsigned young_crashes_ = 0;     // crashes soon after the start
  unsigned repeated_crashes_ = 0;  // those of workers forked after the admission
  bool discarded_ = false;
  std::optional<BootFailure> failure_;
};

}  // namespace narwhal::server
