#include "server/succession.hpp"

#include <algorithm>
#include <utility>

#include "core/log.hpp"
#include "core/time_limit.hpp"
#include "server/config/settings.hpp"
#include "server/sockets/listeners.hpp"
#include "server/watch_sources.hpp"

namespace narwhal::server {
namespace {

// What does not come back.
const char* remark_of_rollback_to(const Plan& earlier) {
  return earlier.config().python.empty() ? "" : " (its settings; Python's files are imported as they are now)";
}

const char* plural(std::size_t count) { return count == 1 ? "" : "s"; }

}  // namespace

void Succession::begin(const Config& config, const Hooks& hooks, InheritedSockets& inherited) {
  Prepared prepared = prepare_first(config, site_.stage_area, inherited);
  last_number_ = 1;
  if (auto* plan = std::get_if<Plan>(&prepared)) {
    plan->hooks = hooks;
    observer_.bound(*plan);
    return stopping_ ? void() : begin_next(std::move(prepared), narwhal::now());
  }
  const auto* failed_step = std::get_if<FailedStep>(&prepared);
  if (failed_step->step != "stage") throw StartupError(failed_step->reason);
  log::error("{}", failed_step->reason);
  first_boot_failure_ = BootFailure{failed_step->step, failed_step->reason, exit_app_failed};
}

void Succession::change_target(int by) {
  if (current_ == nullptr) return;
  const int wanted = static_cast<int>(current_->target()) + by;
  const int most = static_cast<int>(find_setting("workers")->max);
  const int least = current_->target() == 0 ? 0 : 1;  // only retire_workers() leaves none
  set_target(static_cast<unsigned>(std::clamp(wanted, least, most)));
  if (in_transaction()) change_after_reload_ += by;  // else the change would end with the generation that serves now
}

void Succession::retire_workers() {
  if (current_ == nullptr) return;
  set_target(0);
  retire_after_reload_ = in_transaction();
}

void Succession::restore_workers() {
  retire_after_reload_ = false;
  if (current_ != nullptr && current_->target() == 0) set_target(current_->plan().config().workers);
}

void Succession::set_target(unsigned workers) {
  const unsigned before = current_->target();
  current_->set_target(workers);
  if (workers != before) current_->plan().hooks.workers_changed(workers, before);
}

void Succession::settle(Instant now) {
  for (LiveGeneration* generation : all_) generation->settle(now);
  if (reading_) read_config_answer(now);
  if (next_ && site_.log_process.fault() != nullptr) {
    next_failed({"log", *site_.log_process.fault(), exit_boot_failed}, now);
  } else if (next_ && next_->failure() && !site_.log_process.preparing()) {  // whose fault would be the reason
    next_failed(BootFailure(*next_->failure()), now);
  } else if (next_ && next_->ready() && site_.log_process.prepared()) {
    wants_canary() ? begin_canary(now) : take_over(now);
  } else if (canary_) {
    settle_canary(now);
  }
  site_.poison.settle(site_.scoreboard.poison(), now);
  begin_rollback_if_due(now);
  if (may_begin_reload()) begin_reload(now);
  drop_gone();
  previous_.rest_hooks(all_, now);
}

bool Succession::may_begin_reload() {
  if (!reload_requested_ || stopping_ || reading_ || next_ || !current_) return false;
  if (leaving_.size() < draining_max) return true;
  if (!logged_that_reload_waits_) log::warning("Reload is waiting: {} generations are still draining", leaving_.size());
  logged_that_reload_waits_ = true;
  return false;
}

void Succession::begin_reload(Instant now) {
  reload_requested_ = logged_that_reload_waits_ = false;
  change_after_reload_ = 0;
  retire_after_reload_ = false;
  rolling_back_to_ = 0;
  observer_.reloading(Transaction::Kind::reload, now);
  const auto request = read_config_.request ? read_config_.request() : std::nullopt;
  if (!request) return begin_configured(read_config_.read(std::nullopt), {}, now);
  auto reading = PythonConfigReading::start(*request);
  if (!reading) return give_up({"config", reading.error()});
  reading_.emplace(*std::move(reading));
}

void Succession::read_config_answer(Instant now) {
  if (!reading_->read_answer() && now < reading_->deadline()) return;
  const Result<std::string> answer = reading_->finish(now);
  const Result<Config> config = read_config_.read(answer);
  std::optional<PythonConfigReading> reading = std::move(reading_);
  reading_.reset();
  begin_configured(config, config ? Hooks(std::move(reading), *config) : Hooks(), now);
}

void Succession::begin_configured(const Result<Config>& config, const Hooks& hooks, Instant now) {
  if (!config) return give_up({"config", config.error()});
  const unsigned configured = current_->plan().config().workers;
  if (current_->target() != configured && config->workers != current_->target()) {
    log::info("Number of workers: back to {}, as configured", config->workers);
  }
  Prepared prepared = prepare_next(*config, ++last_number_, current_->plan().listeners, site_.stage_area);
  if (auto* plan = std::get_if<Plan>(&prepared)) {
    plan->hooks = hooks;
    hooks.listen_at(plan->listeners);
    hooks.workers_changed(config->workers, current_->target());
    hooks.on_reload();
  }
  begin_next(std::move(prepared), now);
}

Result<std::string> Succession::request_rollback() {
  if (canary_) {  // the old generation is still there
    canary_->abandon("a rollback was requested");
    return fmt::format("rollback: the trial of the new generation is ended; generation {} continues to serve",
                       current_->number());
  }
  const auto refusal = [&]() -> std::string {
    if (stopping_ || current_ == nullptr) return "the server is starting or stopping";
    if (in_transaction() || reload_requested_ || rollback_requested_)
      return "a reload or rollback is running or waiting; ask again when it has ended";
    if (previous() == nullptr) return "there is no previous generation: no reload has succeeded since the start";
    if (leaving_.size() >= draining_max)
      return fmt::format("{} generations are still draining; ask again when one has left", leaving_.size());
    return "";
  }();
  if (!refusal.empty()) {
    log::warning("Rollback refused: {}", refusal);
    return Error{"rollback refused: " + refusal};
  }
  rollback_requested_ = true;
  return fmt::format("rollback to generation {}{}", previous()->number(), remark_of_rollback_to(*previous()));
}

void Succession::begin_rollback_if_due(Instant now) {
  const bool requested =
      std::exchange(rollback_requested_, false) && previous() != nullptr && !in_transaction() && !stopping_;
  if (crash_loops(now)) {
    log::error("Generation {} crash-loops ({} workers died early): rolling back to generation {}", current_->number(),
               current_->crashes().young(), previous()->number());
  } else if (requested) {
    log::warning("Rollback requested: from generation {} back to generation {}{}", current_->number(),
                 previous()->number(), remark_of_rollback_to(*previous()));
  } else {
    return;
  }
  begin_rollback(now);
}

void Succession::begin_rollback(Instant now) {
  rolling_back_to_ = previous()->number();
  previous_.end_probation();  // once: a rollback that fails does not start again by itself
  change_after_reload_ = 0;
  retire_after_reload_ = current_->target() == 0;
  observer_.reloading(Transaction::Kind::rollback, now);
  begin_next(prepare_again(*previous(), ++last_number_, current_->plan().listeners), now);
}

void Succession::begin_next(Prepared prepared, Instant now) {
  if (const auto* failed_step = std::get_if<FailedStep>(&prepared)) return give_up(*failed_step);
  watch_sources(std::get<Plan>(prepared), site_.file_watch, now);
  if (current_) site_.log_process.prepare(std::get<Plan>(prepared).config());
  next_ = std::make_unique<LiveGeneration>(std::get<Plan>(std::move(prepared)), site_, now);
  const Config& config = next_->plan().config();
  if (wants_canary()) next_->set_target(canary_workers(config.canary, config.workers));
  list_all();
}

// A rollback is wanted at once.
bool Succession::wants_canary() const {
  const Config& config = next_->plan().config();
  return current_ && rolling_back_to_ == 0 && config.canary.amount != 0 && config.canary_time.count() != 0;
}

void Succession::begin_canary(Instant now) {
  canary_.emplace(*current_, *next_, site_.scoreboard, now);
  observer_.comparing(canary_->text(), next_->plan().config());
}

void Succession::settle_canary(Instant now) {
  const CanaryTrial::Stage stage = canary_->settle(now);
  if (stage == CanaryTrial::Stage::passed) {
    canary_.reset();
    return take_over(now);
  }
  if (stage != CanaryTrial::Stage::failed) return;
  const std::string why = canary_->why();
  canary_->give_back();
  canary_.reset();
  site_.log_process.discard();
  next_->retire(now, Successor::present);
  leaving_.push_back(std::move(next_));
  list_all();
  give_up({"canary", why});
}

void Succession::next_failed(const BootFailure& failure, Instant now) {
  site_.log_process.discard();
  if (canary_) canary_->give_back();
  canary_.reset();
  next_->quit(now);
  leaving_.push_back(std::move(next_));
  if (current_) return give_up({failure.step, failure.reason});
  log::error("{}", failure.reason);
  first_boot_failure_ = failure;
}

void Succession::give_up(const FailedStep& failed_step) {
  const std::string attempt = rolling_back_to_ == 0 ? "Reload" : "Rollback";
  const std::string why = attempt + " failed at step '" + failed_step.step + "': " + failed_step.reason +
                          "; generation " + std::to_string(current_->number()) + " continues to serve";
  rolling_back_to_ = 0;
  remove_unused_copies();
  log::error("{}", why);
  observer_.reload_failed(why);
}

void Succession::take_over(Instant now) {
  apply_options(next_->plan().config(), next_->plan().listeners);
  next_->admit(now);
  site_.log_process.take_over(next_->plan().config());
  const std::string now_ready =
      fmt::format("Generation {} is ready ({} worker{}, {:.2f} s)", next_->number(), next_->target(),
                  plural(next_->target()), seconds_of(now - next_->started()));
  std::unique_ptr<LiveGeneration> former = std::exchange(current_, std::move(next_));
  watch_only(current_->plan(), site_.file_watch, now);
  const Plan& plan = current_->plan();
  if (former == nullptr) {
    log::info("{}", now_ready);
    return observer_.took_over(plan, nullptr);
  }
  const std::string repeats = rolling_back_to_ == 0 ? "" : fmt::format(", a copy of generation {}", rolling_back_to_);
  log::info("{}{}: retiring generation {}", now_ready, repeats, former->number());
  observer_.took_over(plan, &former->plan().config());
  // A generation that a rollback restored is not on probation: the one it replaced must not return by itself.
  previous_.keep(former->plan(), rolling_back_to_ == 0 ? plan.config().probation : std::chrono::seconds{0}, now);
  site_.poison.forget(site_.scoreboard.poison());
  change_target(std::exchange(change_after_reload_, 0));
  if (std::exchange(retire_after_reload_, false)) set_target(0);
  rolling_back_to_ = 0;
  former->retire(now, Successor::present);
  leaving_.push_back(std::move(former));
  list_all();
}

bool Succession::crash_loops(Instant now) const {
  return previous_.on_probation(now) && !in_transaction() && !stopping_ && current_->crashes().loops();
}

void Succession::end() {
  stopping_ = true;
  canary_.reset();
  previous_.forget();
  reading_.reset();
  site_.log_process.discard();
  if (next_) leaving_.push_back(std::move(next_));
  if (current_) leaving_.push_back(std::move(current_));
}

void Succession::retire_all(Instant now) {
  if (next_) canary_ ? next_->retire(now, Successor::none) : next_->quit(now);
  if (current_) current_->retire(now, Successor::none);
  end();
}

void Succession::quit_all(Instant now) {
  end();
  for (const auto& generation : leaving_) generation->quit(now);
}

void Succession::kill_all(Instant now) {
  end();
  for (const auto& generation : leaving_) generation->kill(now);
}

Instant Succession::next_deadline(Instant now) const {
  Instant next = std::min(previous_.deadline(now), site_.poison.deadline());
  if (reading_) next = std::min(next, reading_->deadline());
  if (canary_) next = std::min(next, canary_->deadline());
  for (const LiveGeneration* generation : all_) {
    const bool waits_for_log = generation == next_.get() && generation->failure() && site_.log_process.preparing();
    if (!waits_for_log) next = std::min(next, generation->next_deadline(now));
  }
  return next;
}

void Succession::drop_gone() {
  // A generation of before has its own hooks to finish; at a stop, time is short.
  const auto is_gone = [this](const auto& generation) {
    return generation->gone() && (stopping_ || generation->plan().hooks.idle());
  };
  if (std::erase_if(leaving_, is_gone) == 0) return;
  list_all();
  const auto needs_log = [](const LiveGeneration* each) { return needs_log_process(each->plan().config()); };
  if (!stopping_ && std::none_of(all_.begin(), all_.end(), needs_log)) site_.log_process.stop();
  remove_unused_copies();
}

void Succession::remove_unused_copies() {
  std::vector<StagedPlugin> in_use;
  const auto add = [&](const Plan& plan) {
    in_use.insert(in_use.end(), plan.generation->plugins.begin(), plan.generation->plugins.end());
    in_use.push_back(plan.generation->python_library);
  };
  for (const LiveGeneration* generation : all_) add(generation->plan());
  if (previous() != nullptr) add(*previous());
  site_.stage_area.keep_only(in_use);
}

void Succession::list_all() {
  all_.clear();
  for (const auto& generation : leaving_) all_.push_back(generation.get());
  if (current_) all_.push_back(current_.get());
  if (next_) all_.push_back(next_.get());
}

}  // namespace narwhal::server
