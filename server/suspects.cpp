#include "server/suspects.hpp"

#include <sys/wait.h>

#include <utility>

#include "server/passed_timeout.hpp"

namespace narwhal::server {
namespace {

// It has got TERM, INT or QUIT from someone, and has left as these ask.
bool has_left_by_itself(const WorkerProcess& worker, const WorkerSlot& slot) {
  return WIFEXITED(*worker.exit_status()) && slot.state.load(std::memory_order_relaxed) == WorkerState::draining;
}

}  // namespace

void note_suspects(const WorkerProcess& worker, const Config& config, Site& site, Instant now) {
  if (config.poison_limit == 0 || !worker.may_have_died_of_requests()) return;
  WorkerSlot& slot = site.scoreboard.slot(worker.slot());
  if (!worker.was_stuck() && has_left_by_itself(worker, slot)) return;
  auto& culprit = slot.crashed_thread;
  // A hook has hung, or crashed, when a request had passed its timeout: that may be why.
  if (worker.was_stuck() && culprit.load(std::memory_order_relaxed) == WorkerSlot::in_no_request)
    culprit.store(0, std::memory_order_relaxed);
  const bool is_known = culprit.load(std::memory_order_relaxed) != 0;
  std::vector<std::string> texts;
  for (Scoreboard::Suspect& suspect : site.scoreboard.suspects(worker.slot(), config.routes)) {
    // A stuck worker has other requests, which did nothing wrong.
    if (!worker.was_stuck() || is_known || has_passed_timeout(suspect.started, suspect.route, config, now))
      texts.push_back(std::move(suspect.text));
  }
  site.poison.died(site.scoreboard.poison(), std::move(texts), config, now);
}

}  // namespace narwhal::server
