// Succession: which generation serves, which one follows it, and which ones are leaving.
// Reload    a transaction: the next generation is prepared, loaded and booted beside the one that serves, and takes
//           over when its last worker is ready. Any failure before that discards it whole, with one line in the log.
// Requests  single-flight: requests that arrive while a transaction runs start one more transaction after it.
// Canary    with the setting `canary`, the new generation first serves with some of its workers beside the old one, and is
//           compared with it (canary_trial.hpp): a failure there is a failed reload too.
// Rollback  a generation that crash-loops on probation is replaced by its predecessor, once. An operator may ask for the
//           same at any time (request_rollback()): the predecessor's settings and staged copies are kept until the next
//           reload replaces them.
// Blocks    never: settle() is called in each turn of the master's loop and advances what can be advanced.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.hpp"
#include "server/canary_trial.hpp"
#include "server/live_generation.hpp"
#include "server/predecessor.hpp"
#include "server/prepare.hpp"

namespace narwhal::server {

class Succession {
 public:
  static constexpr std::size_t draining_max = 8;  // with this many, the next reload waits for one of them

  // Receives the events of a reload; the master passes them on to the log's target, the process title and systemd.
  class Observer {
   public:
    // The first generation's listeners are bound, and nothing is forked yet. May stop the server.
    virtual void bound(const Plan& plan) = 0;
    virtual void reloading(Transaction::Kind kind, Instant now) = 0;
    // The new generation serves with some workers, and is compared. `next` are its settings.
    virtual void comparing(const std::string& /*what*/, const Config& /*next*/) {}
    virtual void reload_failed(const std::string& why) = 0;
    // `plan` serves from now on. `former` is null at the first boot.
    virtual void took_over(const Plan& plan, const Config* former) = 0;

   protected:
    ~Observer() = default;
  };

  // `site` and `observer` outlive it.
  Succession(Site& site, ReadConfig read_config, Observer& observer)
      : site_(site), read_config_(std::move(read_config)), observer_(observer) {}

  // The first generation, with the sockets that another master has handed over, if any. Throws StartupError when its
  // settings cannot be served at all.
  void begin(const Config& config, const Hooks& hooks, InheritedSockets& inherited);
  void request_reload() { reload_requested_ = true; }
  // Restores the previous generation under a new number, from the next settle() on. The generation that is left becomes
  // the previous one, so that a second rollback goes forward again. During a canary, that ends instead. The error says why
  // not; it has been logged.
  // What happens now, as a line: the trial of a canary is ended at once, without a transaction of its own.
  Result<std::string> request_rollback();
  // One worker more or less, also of the generation that takes over if a transaction is running.
  void change_target(int by);
  // No workers: they drain, and the listeners stay open. Also of the generation that takes over.
  void retire_workers();
  // The number of the settings again, if there are none.
  void restore_workers();
  // All three end the server: every worker drains or quits, and no transaction starts or continues.
  void retire_all(Instant now);
  void quit_all(Instant now);
  void kill_all(Instant now);

  void settle(Instant now);
  // The loop's view of all generations, oldest first.
  const std::vector<LiveGeneration*>& all() const { return all_; }
  bool gone() const { return all_.empty(); }
  Instant next_deadline(Instant now) const;
  // The first generation could not boot: the server ends.
  const std::optional<BootFailure>& first_boot_failure() const { return first_boot_failure_; }
  const LiveGeneration* serving() const { return current_.get(); }
  bool in_transaction() const { return next_ != nullptr || reading_; }
  // Readable when settle() has something to do; -1 if there is none.
  int reading_descriptor() const { return reading_ ? reading_->descriptor() : -1; }
  // What a rollback would restore; null if there is none.
  const Plan* previous() const { return previous_.plan(); }
  // A child has ended. True if it was the process that reads a gunicorn.conf.py.
  bool reaped(pid_t pid, int status) { return reading_ && reading_->reaped(pid, status); }
  std::size_t leaving_count() const { return leaving_.size(); }

 private:
  void end();
  void set_target(unsigned workers);
  void begin_reload(Instant now);
  void read_config_answer(Instant now);
  void begin_configured(const Result<Config>& config, const Hooks& hooks, Instant now);
  void begin_rollback_if_due(Instant now);
  void begin_rollback(Instant now);
  void begin_next(Prepared prepared, Instant now);
  bool wants_canary() const;
  void begin_canary(Instant now);
  void settle_canary(Instant now);
  void next_failed(const BootFailure& failure, Instant now);
  void give_up(const FailedStep& failed_step);
  void take_over(Instant now);
  bool crash_loops(Instant now) const;
  bool may_begin_reload();
  void drop_gone();
  void list_all();
  void remove_unused_copies();

  Site& site_;
  ReadConfig read_config_;
  Observer& observer_;
  std::optional<PythonConfigReading> reading_;  // the first step of a reload, while it lasts
  std::unique_ptr<LiveGeneration> current_, next_;
  std::optional<CanaryTrial> canary_;  // of next_
  std::vector<std::unique_ptr<LiveGeneration>> leaving_;
  std::vector<LiveGeneration*> all_;
  std::uint64_t last_number_ = 0;
  bool reload_requested_ = false;
  int change_after_reload_ = 0;       // of the number of workers, asked for during the transaction
  bool retire_after_reload_ = false;  // all workers; asked for as well
  bool logged_that_reload_waits_ = false;
  bool stopping_ = false;
  Predecessor previous_;
  bool rollback_requested_ = false;
  std::uint64_t rolling_back_to_ = 0;  // the number of the generation that next_ repeats; 0: next_ is a reload's
  std::optional<BootFailure> first_boot_failure_;
};

}  // namespace narwhal::server
