#include "server/worker_pool.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/app_title.hpp"
#include "core/log.hpp"
#include "server/death_notice.hpp"
#include "server/successor_policy.hpp"
#include "server/suspects.hpp"

namespace narwhal::server {
namespace {

// Fork orders that may be pending at once: by default a socket queue takes ten records (max_dgram_qlen), and a thousand
// workers that boot together do not boot faster.
constexpr std::size_t spawning_max = 8;
constexpr std::chrono::milliseconds spawn_retry{10};
constexpr std::chrono::seconds heartbeat_check{1};

using Workers = std::list<WorkerProcess>;

template <class Predicate>
std::size_t count(const Workers& workers, Predicate holds) {
  return static_cast<std::size_t>(std::count_if(workers.begin(), workers.end(), holds));
}

std::size_t places_held(const Workers& workers) {
  return count(workers, [](const WorkerProcess& worker) { return worker.holds_place() && !worker.gone(); });
}

void apply_to_all(Workers& workers, Event event, Instant now) {
  for (WorkerProcess& worker : workers) worker.apply(event, now);
}

bool recovered_since(Instant failure, const Workers& workers, Instant now) {
  return std::any_of(workers.begin(), workers.end(), [&](const WorkerProcess& worker) {
    return worker.spawned() > failure && worker.served(now) >= Backoff::long_life;
  });
}

std::size_t count_accepting(const Workers& workers) {
  return count(workers, [](const WorkerProcess& worker) { return accepts(worker.life()); });
}

// Workers that have expired are replaced a few at a time, oldest first.
void begin_replacements(Workers& workers, unsigned target, Instant now) {
  std::size_t outgoing = count(workers, [](const WorkerProcess& worker) { return worker.life() == Life::outgoing; });
  for (WorkerProcess& worker : workers) {
    if (outgoing >= outgoing_max(target)) return;
    if (worker.life() != Life::expired) continue;
    worker.apply(Event::give_way, now);
    ++outgoing;
  }
}

void log_death(const WorkerProcess& worker, const Config& config, const Scoreboard& scoreboard, bool quiet,
               Instant now) {
  if (!worker.exit_status()) {
    if (!quiet && worker.holds_place()) log::error("Worker did not boot: {}", worker.reason());
    return;
  }
  const DeathNotice notice = worker.death();
  const LogLevel level = quiet ? LogLevel::debug : notice.level;
  if (log::enabled(level)) log::write(level, notice.text);
  if (quiet || !notice.crash) return;
  const bool was_wanted = worker.holds_place();  // else there are fewer workers now
  if (!worker.has_served() && was_wanted) log::error("Worker (pid:{}) did not boot: {}", worker.pid(), worker.reason());
  const std::string running = scoreboard.running_text(worker.slot(), now, config.routes);
  if (running.empty()) return;
  log::error("Worker (pid:{}) [{}] was running: {}", worker.pid(), app_title(config), running);
}

bool crashed(const WorkerProcess& worker) { return worker.exit_status() && worker.death().crash; }

// Why another worker takes its place, in a word for the statistics; null: none does.
const char* restart_reason(const WorkerProcess& worker) {
  if (worker.cause() != nullptr) return worker.cause();
  if (!worker.holds_place()) return nullptr;
  if (!worker.has_served()) return "boot";
  return crashed(worker) ? "crash" : "exit";
}

}  // namespace

void WorkerPool::add_sockets(std::vector<pollfd>& watched) const {
  for (const WorkerProcess& worker : workers_) {
    if (worker.socket() >= 0) watched.push_back({worker.socket(), POLLIN, 0});
  }
}

Instant WorkerPool::next_deadline(Instant now) const {
  Instant next = never;
  for (const WorkerProcess& worker : workers_) next = worker.gone() ? now : std::min(next, worker.deadline());
  if (may_spawn()) {
    for (const Instant due : vacancies_) next = std::min(next, due);
  }
  const bool watch_heartbeats = plan_.config().heartbeat_timeout.count() > 0 && !workers_.empty();
  return watch_heartbeats && phase_ != Phase::booting ? std::min(next, Instant(now + heartbeat_check)) : next;
}

void WorkerPool::read_reports(std::span<const int> readable, Instant now) {
  for (WorkerProcess& worker : workers_) {
    const bool has_records =
        worker.socket() >= 0 && std::binary_search(readable.begin(), readable.end(), worker.socket());
    if (has_records) read_reports_of(worker, now);
  }
}

void WorkerPool::read_reports_of(WorkerProcess& worker, Instant now) {
  const bool was_unborn = worker.pid() == 0, held_place = worker.holds_place();
  worker.read_reports(now);
  note_vacancy(worker, held_place, now);
  if (!was_unborn || worker.pid() == 0) return;
  site_.worker_groups.enter(worker.pid(), plan_.config().worker_memory_max);
  plan_.hooks.forked(worker.slot(), worker.pid());
}

void WorkerPool::never_forked(std::uint32_t slot, const std::string& reason, Instant now) {
  for (WorkerProcess& worker : workers_) {
    if (worker.slot() == slot) worker.never_forked(reason, now);
  }
}

bool WorkerPool::reaped(pid_t pid, int status, Instant now) {
  for (WorkerProcess& worker : workers_) {
    if (worker.pid() == 0) read_reports_of(worker, now);  // its hello may be the one that makes the pid known
    if (worker.pid() != pid || worker.gone()) continue;
    const bool held_place = worker.holds_place();
    worker.reaped(status, now);
    note_vacancy(worker, held_place, now);
    return true;
  }
  return false;
}

// By a report of its own it may have given up its place, which it held before.
void WorkerPool::note_vacancy(const WorkerProcess& worker, bool held_place, Instant now) {
  const bool gave_up = held_place && !worker.holds_place() && phase_ == Phase::serving;
  if (gave_up) vacancies_.push_back(soonest_successor(worker.spawned(), now));
}

std::vector<std::string> WorkerPool::take_watched() {
  std::vector<std::string> all;
  for (WorkerProcess& worker : workers_) {
    std::vector<std::string> paths = worker.take_watched();
    all.insert(all.end(), std::make_move_iterator(paths.begin()), std::make_move_iterator(paths.end()));
  }
  return all;
}

void WorkerPool::check_time(Instant now) {
  for (WorkerProcess& worker : workers_) {
    const bool unborn = worker.life() == Life::spawning;
    worker.check_time(now);
    // It was not forked in all that time: the template hangs, and would not fork any later worker either.
    if (unborn && worker.gone()) template_.kill();
    const auto& beat = site_.scoreboard.slot(worker.slot()).heartbeat;
    worker.check_heartbeat(beat.load(std::memory_order_relaxed), now);
  }
}

void WorkerPool::admit_and_remove(Instant now) {
  for (WorkerProcess& worker : workers_) {
    if (phase_ == Phase::serving && worker.life() == Life::ready) worker.apply(Event::admit, now);
    if (worker.gone()) remove_ended(worker, now);
  }
  workers_.remove_if([](const WorkerProcess& worker) { return worker.gone(); });
}

void WorkerPool::remove_ended(WorkerProcess& worker, Instant now) {
  // For a generation that never served, the transaction writes the one line that says why.
  const bool quiet = phase_ == Phase::booting || discarded_;
  if (site_.worker_groups.ended(worker.pid())) {
    log::error("Worker (pid:{}) has reached its memory limit of {} bytes (worker_memory_max): the kernel has killed it",
               worker.pid(), plan_.config().worker_memory_max);
  }
  log_death(worker, plan_.config(), site_.scoreboard, quiet, now);
  note_suspects(worker, plan_.config(), site_, now);
  if (worker.exit_status()) plan_.hooks.child_exit(worker.slot(), worker.pid());
  if (worker.exit_status()) site_.leftovers.end_group(worker.pid(), now);
  const WorkerSlot& slot = site_.scoreboard.slot(worker.slot());
  const std::uint64_t answered = slot.requests.load(std::memory_order_relaxed);
  log::adopt_unreported(slot.log_unreported.load(std::memory_order_relaxed));
  const char* const restart = phase_ == Phase::serving ? restart_reason(worker) : nullptr;
  site_.ledger.worker_ended(slot, plan_.config(), restart, now);
  site_.slots.ended(worker.slot());
  if (!worker.holds_place()) return;
  if (phase_ == Phase::booting) {
    if (!failure_) failure_ = BootFailure{"boot", worker.reason(), worker.boot_exit_code()};
    return;
  }
  crash_count_ += crashed(worker) ? 1 : 0;
  if (phase_ == Phase::serving) replace(worker, answered, now);
}

void WorkerPool::replace(const WorkerProcess& dead, std::uint64_t answered, Instant now) {
  const auto status = dead.exit_status();
  const bool by_operator = dead.killer() == Killer::command || (status && ended_by_operator(*status));
  const Death death{dead.served(now), answered, by_operator};
  if (crashed(dead) && death.served < Backoff::long_life) crashes_.crashed_young(dead.spawned());
  if (!needs_back_off(death)) return vacancies_.push_back(soonest_successor(dead.spawned(), now));
  if (recovered_since(last_failure_, workers_, now)) backoff_.recovered();
  const auto delay = backoff_.failed(site_.dice.roll());
  last_failure_ = now;
  vacancies_.push_back(now + delay);
  log::info("Generation {}: a worker died early ({} in a row); its replacement is forked in {:.1f} s", plan_.number(),
            backoff_.failures(), seconds_of(delay));
}

void WorkerPool::fill_places(Instant now) {
  retire_replaced(now);
  begin_replacements(workers_, target_, now);
  adjust_places(now);
  for (Instant& due : vacancies_) {
    if (due <= now && may_spawn()) due = spawn(now);
  }
  std::erase(vacancies_, never);
}

// An outgoing worker serves until another worker serves in its place.
void WorkerPool::retire_replaced(Instant now) {
  std::size_t accepting = count_accepting(workers_);
  for (WorkerProcess& worker : workers_) {
    if (accepting <= target_) return;
    if (worker.life() != Life::outgoing) continue;
    // It has served its whole time, so what it was forked from is in order.
    if (worker.spawned() > last_failure_) backoff_.recovered();
    worker.apply(Event::retire, now);
    --accepting;
  }
}

void WorkerPool::adjust_places(Instant now) {
  while (places_held(workers_) + vacancies_.size() < target_) vacancies_.push_back(now);
  std::sort(vacancies_.begin(), vacancies_.end());
  while (!vacancies_.empty() && places_held(workers_) + vacancies_.size() > target_) vacancies_.pop_back();
  if (phase_ != Phase::serving) return;
  // One that does not serve yet leaves first: it may never be ready. Then the oldest, as in Gunicorn.
  for (auto worker = workers_.rbegin(); worker != workers_.rend() && places_held(workers_) > target_; ++worker) {
    if (worker->holds_place() && !accepts(worker->life())) worker->apply(Event::retire, now);
  }
  const auto serves = [](const WorkerProcess& worker) { return worker.holds_place() && accepts(worker.life()); };
  for (WorkerProcess& worker : workers_) {
    if (count(workers_, serves) <= target_) return;
    if (serves(worker)) worker.apply(Event::retire, now);
  }
}

bool WorkerPool::may_spawn() const {
  const std::size_t spawning =
      count(workers_, [](const WorkerProcess& worker) { return worker.life() == Life::spawning; });
  // Workers that hang in requests accumulate beside their replacements, but not without limit.
  return phase_ != Phase::leaving && template_.state() == TemplateProcess::State::loaded && spawning < spawning_max &&
         workers_.size() < 3 * std::size_t{target_} + 2;
}

Instant WorkerPool::spawn(Instant now) {
  const auto slot = site_.slots.take();
  if (!slot) return cannot_spawn(fmt::format("all {} worker slots are in use", Scoreboard::slots_max), now);
  auto pair = open_pair();
  // No other process uses the slot: its last owner was reaped.
  site_.scoreboard.clear(*slot);
  site_.scoreboard.slot(*slot).generation.store(plan_.number(), std::memory_order_relaxed);
  if (!pair || !template_.spawn(*slot, pair->child.get())) {
    site_.slots.give_back(*slot);
    return pair ? now + spawn_retry : cannot_spawn(pair.error(), now);
  }
  plan_.hooks.pre_fork(*slot);
  workers_.emplace_back(*slot, std::move(pair->master), *plan_.generation, now);
  return never;
}

Instant WorkerPool::cannot_spawn(const std::string& reason, Instant now) {
  if (phase_ == Phase::booting) {
    if (!failure_) failure_ = BootFailure{"boot", "new worker: " + reason, exit_boot_failed};
    return now;
  }
  const auto delay = backoff_.failed(site_.dice.roll());
  log::error("Generation {}: new worker: {}; trying again in {:.1f} s", plan_.number(), reason, seconds_of(delay));
  return now + delay;
}

bool WorkerPool::all_ready() const {
  return workers_.size() == target_ && std::all_of(workers_.begin(), workers_.end(), [](const WorkerProcess& worker) {
           return worker.life() == Life::ready;
         });
}

void WorkerPool::admit(Instant now) {
  phase_ = Phase::serving;
  crashes_.admitted(now);
  apply_to_all(workers_, Event::admit, now);
}

void WorkerPool::retire(Instant now, Successor successor) {
  phase_ = Phase::leaving;
  vacancies_.clear();
  for (WorkerProcess& worker : workers_) worker.retire(now, successor);
}

void WorkerPool::quit(Instant now) {
  discarded_ = discarded_ || phase_ == Phase::booting;
  phase_ = Phase::leaving;
  vacancies_.clear();
  apply_to_all(workers_, Event::quit, now);
}

void WorkerPool::kill(Instant now) { apply_to_all(workers_, Event::late, now); }

bool WorkerPool::send_log(Order which, const Fd& file) const {
  bool all = true;
  for (const WorkerProcess& worker : workers_) all = worker.send_log(which, file) && all;
  return all;
}

void WorkerPool::restart_heartbeat_clock(Instant now) {
  for (WorkerProcess& worker : workers_) worker.restart_heartbeat_clock(now);
}

void WorkerPool::withhold(unsigned workers) {
  for (WorkerProcess& worker : workers_) {
    const bool withheld = workers != 0 && accepts(worker.life());
    if (withheld) --workers;
    if (withheld != worker.is_withheld()) worker.withhold(withheld);
  }
}

std::size_t WorkerPool::serving() const { return count_accepting(workers_); }

std::vector<WorkerFacts> WorkerPool::facts() const {
  std::vector<WorkerFacts> all;
  for (const WorkerProcess& worker : workers_)
    all.push_back({worker.slot(), worker.pid(), life_name(worker.life()), worker.holds_place(), worker.spawned()});
  return all;
}

WorkerProcess* WorkerPool::find(pid_t pid) {
  const auto found = std::find_if(workers_.begin(), workers_.end(),
                                  [pid](const WorkerProcess& worker) { return worker.pid() == pid && !worker.gone(); });
  return pid > 0 && found != workers_.end() ? &*found : nullptr;
}

}  // namespace narwhal::server
