#include "server/live_generation.hpp"

#include <algorithm>
#include <utility>

#include "core/log.hpp"
#include "core/log_output.hpp"

namespace narwhal::server {

LiveGeneration::LiveGeneration(Plan plan, Site& site, Instant now)
    : plan_(std::move(plan)), site_(site), template_(plan_, site), workers_(plan_, site, template_), started_(now) {
  if (const auto started = template_.start(now); !started)
    template_failure_ = BootFailure{"load", started.error(), exit_app_failed};
}

void LiveGeneration::add_sockets(std::vector<pollfd>& watched) const {
  if (template_.socket() >= 0) watched.push_back({template_.socket(), POLLIN, 0});
  workers_.add_sockets(watched);
  if (const HookProcess* hooks = plan_.hooks.process()) watched.push_back({hooks->descriptor(), POLLIN, 0});
}

Instant LiveGeneration::next_deadline(Instant now) const {
  if (failure() && workers_.phase() == Phase::booting) return now;
  const Instant hooks = plan_.hooks.process() != nullptr ? plan_.hooks.process()->deadline() : never;
  return std::min({template_.deadline(), template_due_, hooks, workers_.next_deadline(now)});
}

void LiveGeneration::read_reports(std::span<const int> readable, Instant now) {
  const int socket = template_.socket();
  if (socket >= 0 && std::binary_search(readable.begin(), readable.end(), socket)) read_template_reports(now);
  workers_.read_reports(readable, now);
}

void LiveGeneration::read_template_reports(Instant now) {
  for (const auto& [slot, reason] : template_.read_reports(now)) workers_.never_forked(slot, reason, now);
}

bool LiveGeneration::reaped(pid_t pid, int status, Instant now) {
  if (HookProcess* hooks = plan_.hooks.process(); hooks != nullptr && hooks->reaped(pid, status)) return true;
  if (pid != template_.pid()) return workers_.reaped(pid, status, now);
  read_template_reports(now);
  template_.reaped(status, now);
  // While it serves, its workers may still use what has been started there.
  if (workers_.phase() != Phase::serving) site_.leftovers.end_group(pid, now);
  template_ended(now);
  return true;
}

void LiveGeneration::template_ended(Instant now) {
  if (workers_.phase() == Phase::leaving) {
    if (template_.ended_unasked())
      log::warning("Template of generation {} ended before its last worker: {}. They finish without it", number(),
                   template_.reason());
    return;
  }
  if (workers_.phase() == Phase::booting) {
    // The template opens the log before it loads anything.
    const char* const step = template_.reason().starts_with("open log ") ? "log" : "load";
    if (!template_failure_) template_failure_ = BootFailure{step, template_.reason(), template_.boot_exit_code()};
    return;
  }
  site_.ledger.process_ended("template");
  const bool young = now - template_.started() < Backoff::long_life;
  if (!young) template_backoff_.recovered();
  const auto delay = young ? template_backoff_.failed(site_.dice.roll()) : std::chrono::nanoseconds::zero();
  template_due_ = now + delay;
  log::error("Template of generation {} ended: {}. Its workers continue to serve; it is forked again in {:.1f} s",
             number(), template_.reason(), seconds_of(delay));
}

void LiveGeneration::restart_template(Instant now) {
  template_due_ = never;
  if (const auto started = template_.start(now); !started) {
    template_due_ = now + template_backoff_.failed(site_.dice.roll());
    log::error("Template of generation {}: {}", number(), started.error());
  }
}

void LiveGeneration::settle(Instant now) {
  add_watched_files(now);
  template_.check_time(now);
  if (now >= template_due_) restart_template(now);
  workers_.check_time(now);
  workers_.admit_and_remove(now);
  if (workers_.phase() != Phase::leaving && !failure()) workers_.fill_places(now);
  end_template(now);
  if (HookProcess* hooks = plan_.hooks.process()) hooks->settle(now);
}

void LiveGeneration::add_watched_files(Instant now) {
  const auto add = [&](const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
      if (path.starts_with('/') && plan_.config().reload) site_.file_watch.add(path, number(), now);
    }
  };
  add(template_.take_watched());
  add(workers_.take_watched());
}

void LiveGeneration::admit(Instant now) { workers_.admit(now); }

void LiveGeneration::leave() {
  // If no newer generation has a listener, this was its last owner in the master: once the workers close it too,
  // clients are refused rather than left in a queue that no worker serves.
  plan_.listeners.clear();
  template_due_ = never;
  template_.leave();
}

void LiveGeneration::end_template(Instant now) {
  if (workers_.phase() == Phase::leaving && workers_.empty()) template_.end(now);
}

void LiveGeneration::retire(Instant now, Successor successor) {
  leave();
  workers_.retire(now, successor);
  end_template(now);
}

void LiveGeneration::quit(Instant now) {
  leave();
  workers_.quit(now);
  end_template(now);
}

void LiveGeneration::kill(Instant now) {
  quit(now);
  template_.kill();
  workers_.kill(now);
}

void LiveGeneration::reopen_logs() {
  send_log(Order::error_log, plan_.config().errorlog);
  if (!needs_log_process(plan_.config())) send_log(Order::access_log, plan_.config().accesslog);
}

void LiveGeneration::send_log(Order which, const std::string& target) {
  if (target.empty() || target == "-") return;
  const auto file = open_log_file(target);
  if (!file)
    return log::error("{}; generation {} continues to use the previous file until the next USR1", file.error(),
                      number());
  const bool template_has_it = template_.send_log(which, *file);
  if (!workers_.send_log(which, *file) || !template_has_it)
    log::error("Not every process of generation {} has opened the new log {}: send USR1 again", number(), target);
}

GenerationFacts LiveGeneration::facts() const {
  constexpr const char* phases[] = {"booting", "serving", "leaving"};
  const Config& config = plan_.config();
  GenerationFacts facts;
  facts.number = number();
  facts.phase = phases[static_cast<std::size_t>(workers_.phase())];
  facts.target = target();
  facts.threads = config.threads;
  facts.timeout = config.timeout;
  facts.started = started_;
  facts.template_pid = template_.pid();
  for (const Route& route : config.routes) facts.routes.push_back({route.prefix, route.app, route.hosts});
  facts.workers = workers_.facts();
  return facts;
}

}  // namespace narwhal::server
