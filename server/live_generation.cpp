#include "server/live_generation.hpp"

#include <stdlib.h>

#include <algorithm>
#include <random>
#include <utility>

#include "core/app_title.hpp"
#include "core/clock.hpp"
#include "core/log.hpp"
#include "server/death_notice.hpp"

namespace narwhal::server {
namespace {

// Fork orders that may be pending at once: by default a socket queue takes ten records (max_dgram_qlen), and a thousand
// workers that boot together do not boot faster.
constexpr std::ptrdiff_t spawning_max = 8;
constexpr std::chrono::milliseconds spawn_retry{10};
constexpr std::chrono::seconds heartbeat_check{1};

std::uint32_t random_number() {
  static std::minstd_rand generator(static_cast<std::uint32_t>(narwhal::now().time_since_epoch().count()));
  return static_cast<std::uint32_t>(generator());
}

}  // namespace

LiveGeneration::LiveGeneration(Plan plan, Site& site, Instant now)
    : plan_(std::move(plan)),
      site_(site),
      template_(plan_, site.scoreboard, site.body),
      target_(plan_.config().workers),
      started_(now) {
  if (const auto started = template_.start(now); !started) fail_boot("load", started.error(), exit_app_failed);
}

void LiveGeneration::add_sockets(std::vector<pollfd>& watched) const {
  if (template_.socket() >= 0) watched.push_back({template_.socket(), POLLIN, 0});
  for (const WorkerProcess& worker : workers_) {
    if (worker.socket() >= 0) watched.push_back({worker.socket(), POLLIN, 0});
  }
}

Instant LiveGeneration::next_deadline(Instant now) const {
  if (failure_ && phase_ == Phase::booting) return now;
  Instant next = std::min(template_.deadline(), template_due_);
  for (const WorkerProcess& worker : workers_) next = worker.gone() ? now : std::min(next, worker.deadline());
  if (may_spawn()) {
    for (const Instant due : vacancies_) next = std::min(next, due);
  }
  const bool watch_heartbeats = plan_.config().heartbeat_timeout.count() > 0 && !workers_.empty();
  return watch_heartbeats && phase_ != Phase::booting ? std::min(next, Instant(now + heartbeat_check)) : next;
}

void LiveGeneration::read_reports(std::span<const int> readable, Instant now) {
  const auto has_records = [&](int socket) {
    return socket >= 0 && std::binary_search(readable.begin(), readable.end(), socket);
  };
  if (has_records(template_.socket())) read_template_reports(now);
  for (WorkerProcess& worker : workers_) {
    if (has_records(worker.socket())) worker.read_reports(now);
  }
}

void LiveGeneration::read_template_reports(Instant now) {
  for (const auto& [slot, reason] : template_.read_reports(now)) {
    for (WorkerProcess& worker : workers_) {
      if (worker.slot() == slot) worker.never_forked(reason, now);
    }
  }
}

bool LiveGeneration::reaped(pid_t pid, int status, Instant now) {
  if (pid == template_.pid()) {
    read_template_reports(now);
    template_.reaped(status, now);
    template_ended(now);
    return true;
  }
  for (WorkerProcess& worker : workers_) {
    if (worker.pid() == 0) worker.read_reports(now);  // its hello may be the one that makes the pid known
    if (worker.pid() != pid || worker.gone()) continue;
    worker.reaped(status, now);
    return true;
  }
  return false;
}

void LiveGeneration::template_ended(Instant now) {
  if (phase_ == Phase::leaving) return;
  if (phase_ == Phase::booting) return fail_boot("load", template_.reason(), template_.boot_exit_code());
  const bool young = now - template_.started() < Backoff::long_life;
  if (!young) template_backoff_.recovered();
  const auto delay = young ? template_backoff_.failed(random_number()) : std::chrono::nanoseconds::zero();
  template_due_ = now + delay;
  log::error("Template of generation {} ended: {}. Its workers continue to serve; it is forked again in {:.1f} s",
             number(), template_.reason(), seconds_of(delay));
}

void LiveGeneration::restart_template(Instant now) {
  template_due_ = never;
  if (const auto started = template_.start(now); !started) {
    template_due_ = now + template_backoff_.failed(random_number());
    log::error("Template of generation {}: {}", number(), started.error());
  }
}

void LiveGeneration::settle(Instant now) {
  add_watched_files(now);
  check_time(now);
  for (WorkerProcess& worker : workers_) {
    if (phase_ == Phase::serving && worker.life() == Life::ready) worker.apply(Event::admit, now);
    if (worker.gone()) remove_ended(worker, now);
  }
  workers_.remove_if([](const WorkerProcess& worker) { return worker.gone(); });
  if (phase_ == Phase::leaving || failure_) return;
  replace_stuck(now);
  adjust_places(now);
  fill_vacancies(now);
}

void LiveGeneration::add_watched_files(Instant now) {
  const auto add = [&](const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
      if (path.starts_with('/') && plan_.config().reload) site_.file_watch.add(path, number(), now);
    }
  };
  add(template_.take_watched());
  for (WorkerProcess& worker : workers_) add(worker.take_watched());
}

void LiveGeneration::check_time(Instant now) {
  template_.check_time(now);
  if (now >= template_due_) restart_template(now);
  for (WorkerProcess& worker : workers_) {
    const bool unborn = worker.life() == Life::spawning;
    worker.check_time(now);
    // It was not forked in all that time: the template hangs, and would not fork any later worker either.
    if (unborn && worker.gone()) template_.kill();
    const auto& beat = site_.scoreboard.slot(worker.slot()).heartbeat;
    worker.check_heartbeat(beat.load(std::memory_order_relaxed), now);
  }
}

void LiveGeneration::remove_ended(WorkerProcess& worker, Instant now) {
  log_death(worker, now);
  site_.scoreboard.clear(worker.slot());
  site_.slots.give_back(worker.slot());
  if (!worker.holds_place()) return;
  if (phase_ == Phase::booting) return fail_boot("boot", worker.reason(), worker.boot_exit_code());
  const auto status = worker.exit_status();
  replace(worker, status && death_notice(worker.pid(), *status, Killer::unknown).crash, now);
}

void LiveGeneration::log_death(const WorkerProcess& worker, Instant now) const {
  // For a generation that never served, the transaction writes the one line that says why.
  const bool quiet = phase_ == Phase::booting || discarded_;
  const auto killer = worker.killed_by_master() ? Killer::master : Killer::unknown;
  if (!worker.exit_status()) {
    if (!quiet && worker.holds_place()) log::error("Worker did not boot: {}", worker.reason());
    return;
  }
  const DeathNotice notice = death_notice(worker.pid(), *worker.exit_status(), killer);
  const LogLevel level = quiet ? LogLevel::debug : notice.level;
  if (log::enabled(level)) log::write(level, notice.text);
  if (quiet || !notice.crash) return;
  if (!worker.has_served()) log::error("Worker (pid:{}) did not boot: {}", worker.pid(), worker.reason());
  const std::string running = site_.scoreboard.running_text(worker.slot(), now, plan_.config().routes);
  if (running.empty()) return;
  log::error("Worker (pid:{}) [{}] was running: {}", worker.pid(), app_title(plan_.config()), running);
}

void LiveGeneration::replace(const WorkerProcess& dead, bool crash, Instant now) {
  if (phase_ != Phase::serving) return;
  if (dead.served(now) >= Backoff::long_life) {
    vacancies_.push_back(now);
    return;
  }
  if (recovered_since_last_failure(now)) worker_backoff_.recovered();
  const auto delay = worker_backoff_.failed(random_number());
  last_failure_ = now;
  if (crash) ++young_crashes_;
  if (crash && dead.spawned() > admitted_) ++repeated_crashes_;
  vacancies_.push_back(now + delay);
  log::info("Generation {}: a worker died early ({} in a row); its replacement is forked in {:.1f} s", number(),
            worker_backoff_.failures(), seconds_of(delay));
}

bool LiveGeneration::recovered_since_last_failure(Instant now) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const WorkerProcess& worker) {
    return worker.spawned() > last_failure_ && worker.served(now) >= Backoff::long_life;
  });
}

// A stuck worker serves until another worker serves in its place.
void LiveGeneration::replace_stuck(Instant now) {
  const auto serving = static_cast<std::size_t>(std::count_if(
      workers_.begin(), workers_.end(), [](const WorkerProcess& worker) { return worker.life() == Life::serving; }));
  if (serving < target_) return;
  for (WorkerProcess& worker : workers_) {
    if (worker.life() == Life::stuck) worker.apply(Event::retire, now);
  }
}

void LiveGeneration::adjust_places(Instant now) {
  while (places_held() + vacancies_.size() < target_) vacancies_.push_back(now);
  std::sort(vacancies_.begin(), vacancies_.end());
  while (!vacancies_.empty() && places_held() + vacancies_.size() > target_) vacancies_.pop_back();
  if (phase_ != Phase::serving) return;
  for (WorkerProcess& worker : workers_) {  // the oldest leaves, as in Gunicorn
    if (places_held() <= target_) return;
    if (worker.holds_place()) worker.apply(Event::retire, now);
  }
}

bool LiveGeneration::may_spawn() const {
  const auto spawning = std::count_if(workers_.begin(), workers_.end(),
                                      [](const WorkerProcess& worker) { return worker.life() == Life::spawning; });
  // Workers that hang in requests accumulate beside their replacements, but not without limit.
  return phase_ != Phase::leaving && template_.state() == State::loaded && spawning < spawning_max &&
         workers_.size() < 3 * std::size_t{target_} + 2;
}

void LiveGeneration::fill_vacancies(Instant now) {
  for (Instant& due : vacancies_) {
    if (due <= now && may_spawn()) due = spawn(now);
  }
  std::erase(vacancies_, never);
}

Instant LiveGeneration::spawn(Instant now) {
  const auto slot = site_.slots.take();
  if (!slot) return cannot_spawn(fmt::format("all {} worker slots are in use", Scoreboard::slots_max), now);
  auto pair = open_pair();
  // No other process uses the slot: its last owner was reaped.
  site_.scoreboard.clear(*slot);
  site_.scoreboard.slot(*slot).generation.store(number(), std::memory_order_relaxed);
  if (!pair || !template_.spawn(*slot, pair->child.get())) {
    site_.slots.give_back(*slot);
    return pair ? now + spawn_retry : cannot_spawn(pair.error(), now);
  }
  workers_.emplace_back(*slot, std::move(pair->master), *plan_.generation, now);
  return never;
}

Instant LiveGeneration::cannot_spawn(const std::string& reason, Instant now) {
  if (phase_ == Phase::booting) {
    fail_boot("boot", "new worker: " + reason, exit_boot_failed);
    return now;
  }
  const auto delay = worker_backoff_.failed(random_number());
  log::error("Generation {}: new worker: {}; trying again in {:.1f} s", number(), reason, seconds_of(delay));
  return now + delay;
}

bool LiveGeneration::ready() const {
  if (phase_ != Phase::booting || failure_ || workers_.size() != target_) return false;
  return std::all_of(workers_.begin(), workers_.end(),
                     [](const WorkerProcess& worker) { return worker.life() == Life::ready; });
}

void LiveGeneration::admit(Instant now) {
  phase_ = Phase::serving;
  admitted_ = now;
  apply_to_all(Event::admit, now);
}

void LiveGeneration::retire(Instant now, Successor successor) {
  phase_ = Phase::leaving;
  // If no newer generation has a listener, this was its last owner in the master: once the workers close it too,
  // clients are refused rather than left in a queue that no worker serves.
  plan_.listeners.clear();
  vacancies_.clear();
  template_due_ = never;
  template_.leave(now);
  for (WorkerProcess& worker : workers_) worker.retire(now, successor);
}

void LiveGeneration::quit(Instant now) {
  discarded_ = discarded_ || phase_ == Phase::booting;
  retire(now, Successor::present);
  apply_to_all(Event::quit, now);
}

void LiveGeneration::kill(Instant now) {
  quit(now);
  template_.kill();
  apply_to_all(Event::late, now);
}

void LiveGeneration::reopen_logs() {
  send_log(Order::error_log, plan_.config().errorlog);
  send_log(Order::access_log, plan_.config().accesslog);
}

void LiveGeneration::send_log(Order which, const std::string& target) {
  if (target.empty() || target == "-") return;
  const auto file = log::open_file(target);
  if (!file)
    return log::error("{}; generation {} continues to use the previous file until the next USR1", file.error(),
                      number());
  bool all = template_.send_log(which, *file);
  for (const WorkerProcess& worker : workers_) all = worker.send_log(which, *file) && all;
  if (!all)
    log::error("Not every process of generation {} has opened the new log {}: send USR1 again", number(), target);
}

void LiveGeneration::restart_heartbeat_clock(Instant now) {
  for (WorkerProcess& worker : workers_) worker.restart_heartbeat_clock(now);
}

void LiveGeneration::apply_to_all(Event event, Instant now) {
  for (WorkerProcess& worker : workers_) worker.apply(event, now);
}

void LiveGeneration::fail_boot(std::string step, std::string reason, int exit_code) {
  if (!failure_) failure_ = BootFailure{std::move(step), std::move(reason), exit_code};
}

std::size_t LiveGeneration::places_held() const {
  return static_cast<std::size_t>(std::count_if(workers_.begin(), workers_.end(), [](const WorkerProcess& worker) {
    return worker.holds_place() && !worker.gone();
  }));
}

std::size_t LiveGeneration::workers_serving() const {
  return static_cast<std::size_t>(std::count_if(workers_.begin(), workers_.end(), [](const WorkerProcess& worker) {
    return worker.life() == Life::serving || worker.life() == Life::stuck;
  }));
}

}  // namespace narwhal::server
