#include "server/canary_trial.hpp"

#include <algorithm>
#include <utility>

#include "core/log.hpp"
#include "core/time_limit.hpp"

namespace narwhal::server {
namespace {

constexpr std::chrono::milliseconds look_every{250};

std::uint64_t value(const std::atomic<std::uint64_t>& counter) { return counter.load(std::memory_order_relaxed); }

CanaryCounts counts_of(const WorkerSlot& slot) {
  CanaryCounts counts;
  counts.requests = value(slot.requests);
  for (const RouteCounters& route : slot.routes) {
    counts.errors += value(route.status_class[5]);
    for (std::size_t bucket = 0; bucket < counts.latency.size(); ++bucket)
      counts.latency[bucket] += value(route.latency[bucket]);
  }
  return counts;
}

// A worker may have overwritten its counters: a number that has become smaller adds nothing.
void add_growth(std::uint64_t& sum, std::uint64_t before, std::uint64_t now) { sum += now > before ? now - before : 0; }

}  // namespace

void CanaryTrial::Tally::read(const LiveGeneration& generation, const Scoreboard& scoreboard) {
  generation.for_each_slot([&](std::uint32_t slot) {
    const WorkerSlot& now = scoreboard.slot(slot);
    Reading& last = last_[slot];
    if (const std::int32_t pid = now.pid.load(std::memory_order_relaxed); pid != last.pid) last = {pid, {}};
    const CanaryCounts counts = counts_of(now);
    if (!is_first_) {
      add_growth(counts_.requests, last.counts.requests, counts.requests);
      add_growth(counts_.errors, last.counts.errors, counts.errors);
      for (std::size_t bucket = 0; bucket < counts.latency.size(); ++bucket)
        add_growth(counts_.latency[bucket], last.counts.latency[bucket], counts.latency[bucket]);
    }
    last.counts = counts;
  });
  if (std::exchange(is_first_, false)) crashes_before_ = generation.crash_count();
  counts_.crashes = generation.crash_count() - crashes_before_;
}

CanaryTrial::CanaryTrial(LiveGeneration& old, LiveGeneration& fresh, const Scoreboard& scoreboard, Instant now)
    : old_(old),
      fresh_(fresh),
      scoreboard_(scoreboard),
      end_(deadline_after(now, fresh.plan().config().canary_time)),
      next_look_(now + look_every) {
  old_tally_.read(old_, scoreboard_);
  fresh_tally_.read(fresh_, scoreboard_);
  fresh_.admit(now);
  old_.withhold(std::min(fresh_.target(), std::max(old_.target(), 1u) - 1));
  log::info("Reload: {}; they are compared for {} s", text(), fresh.plan().config().canary_time.count());
}

CanaryTrial::Stage CanaryTrial::settle(Instant now) {
  if (stage_ == Stage::passed || stage_ == Stage::failed) return stage_;
  if (stage_ == Stage::growing && fresh_.workers_serving() >= fresh_.target()) return stage_ = Stage::passed;
  if (now < next_look_) return stage_;
  next_look_ = now + look_every;
  old_tally_.read(old_, scoreboard_);
  fresh_tally_.read(fresh_, scoreboard_);
  stage_ == Stage::comparing ? compare(now) : look_at_growth(now);
  return stage_;
}

void CanaryTrial::compare(Instant now) {
  const bool time_is_up = now >= end_;
  switch (judge(fresh_tally_.counts(), old_tally_.counts(), time_is_up)) {
    case Verdict::wait: return;
    case Verdict::back: return fail(comparison());
    case Verdict::on: break;
  }
  const char* const remark =
      fresh_tally_.counts().requests < canary_requests_min ? "; too few requests to compare more than crashes" : "";
  const bool is_untested = fresh_tally_.counts().requests == 0 && old_tally_.counts().requests != 0;
  if (is_untested) {
    log::warning(
        "Canary passed: {}; it is untested, because clients kept their connections to the workers before it: "
        "raise canary or canary_time",
        comparison());
  } else {
    log::info("Canary passed: {}{}", comparison(), remark);
  }
  fresh_.set_target(fresh_.plan().config().workers);
  stage_ = Stage::growing;
  end_ = deadline_after(now, fresh_.plan().config().boot_timeout);
}

void CanaryTrial::look_at_growth(Instant now) {
  if (judge(fresh_tally_.counts(), old_tally_.counts(), false) == Verdict::back) return fail(comparison());
  if (now >= end_)
    fail(fmt::format("{} of {} workers are ready after boot_timeout", fresh_.workers_serving(), fresh_.target()));
}

void CanaryTrial::fail(std::string reason) {
  stage_ = Stage::failed;
  why_ = std::move(reason);
}

void CanaryTrial::give_back() { old_.withhold(0); }

std::string CanaryTrial::text() const {
  return fmt::format("canary: {} of {} workers run generation {}", fresh_.target(), fresh_.plan().config().workers,
                     fresh_.number());
}

std::string CanaryTrial::comparison() const {
  return fmt::format("generation {}: {}; generation {}: {}", fresh_.number(), figures(fresh_tally_.counts()),
                     old_.number(), figures(old_tally_.counts()));
}

}  // namespace narwhal::server
