// Predecessor: the generation that served before the one that serves now: what a rollback restores. Its settings and staged
// copies are kept until the next reload replaces them, not its listeners.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "core/clock.hpp"
#include "core/time_limit.hpp"
#include "server/live_generation.hpp"
#include "server/plan.hpp"

namespace narwhal::server {

class Predecessor {
 public:
  // `probation` is that of its successor; 0: none.
  void keep(const Plan& plan, std::chrono::seconds probation, Instant now) {
    plan_ = plan;
    plan_->listeners.clear();
    probation_end_ = probation.count() > 0 ? deadline_after(now, probation) : unset;
  }
  void forget() { plan_.reset(); }
  void end_probation() { probation_end_ = unset; }

  const Plan* plan() const { return plan_ ? &*plan_ : nullptr; }
  bool on_probation(Instant now) const { return plan_ && now < probation_end_; }
  Instant deadline(Instant now) const { return on_probation(now) ? probation_end_ : never; }

  // After probation a rollback is unlikely: until then the process for its hooks waits for nothing.
  void rest_hooks(const std::vector<LiveGeneration*>& running, Instant now) const {
    HookProcess* const hooks = plan_ ? plan_->hooks.process() : nullptr;
    if (hooks == nullptr || on_probation(now)) return;
    const auto uses_it = [&](const LiveGeneration* each) { return each->plan().hooks.process() == hooks; };
    if (std::none_of(running.begin(), running.end(), uses_it)) hooks->rest();
  }

 private:
  std::optional<Plan> plan_;
  Instant probation_end_ = unset;
};

}  // namespace narwhal::server
