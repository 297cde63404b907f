#include "worker/recycling.hpp"

#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>

#include "core/log.hpp"
#include "worker/memory_use.hpp"

namespace narwhal::worker {

namespace {

constexpr double mebi = 1024 * 1024;
// A process that leaks fast is seen soon, and looking takes at most a hundredth of the time, however large it is.
constexpr std::chrono::milliseconds memory_pause{25};
constexpr int memory_pause_factor = 100;

struct TwoDice {
  std::uint32_t first = 0, second = 0;
};

// From the kernel: workers that were forked from one template must not draw the same.
TwoDice roll() noexcept {
  TwoDice dice;
  if (::getrandom(&dice, sizeof dice, GRND_NONBLOCK) != sizeof dice) {
    const auto now = static_cast<std::uint64_t>(narwhal::now().time_since_epoch().count());
    dice = {static_cast<std::uint32_t>(now) ^ static_cast<std::uint32_t>(::getpid()),
            static_cast<std::uint32_t>(now >> 10)};
  }
  return dice;
}

std::int64_t or_off(std::size_t limit) { return limit == 0 ? LifeLimits::off : static_cast<std::int64_t>(limit); }

}  // namespace

LifeLimits draw_limits(const Config& config, std::uint32_t request_dice, std::uint32_t age_dice) noexcept {
  LifeLimits limits;
  limits.memory = or_off(config.max_worker_memory);
  if (config.max_requests != 0) {
    const std::uint64_t values = std::uint64_t{config.max_requests_jitter} + 1;
    limits.requests = config.max_requests + static_cast<std::int64_t>(request_dice * values >> 32);
  }
  if (config.max_worker_lifetime.count() != 0) {
    const std::chrono::nanoseconds longest = config.max_worker_lifetime;
    limits.age = longest - longest / 10 / 1024 * (age_dice % 1025);
  }
  return limits;
}

std::optional<std::string> passed_limit(const LifeUse& use, const LifeLimits& limits, const Config& config) {
  if (use.requests >= limits.requests) {
    const bool drawn = limits.requests != config.max_requests;
    return fmt::format("has answered {} request{} (max_requests: {}{})", use.requests, use.requests == 1 ? "" : "s",
                       config.max_requests, drawn ? fmt::format(", with its jitter {}", limits.requests) : "");
  }
  if (use.memory > limits.memory) {
    return fmt::format("uses {:.1f} MiB of memory (max_worker_memory: {:.1f} MiB)",
                       static_cast<double>(use.memory) / mebi, static_cast<double>(limits.memory) / mebi);
  }
  if (use.age >= limits.age) {
    return fmt::format("has served for {:.0f} s (max_worker_lifetime: {})", seconds_of(use.age),
                       config.max_worker_lifetime.count());
  }
  return std::nullopt;
}

Recycling::Recycling(const Config& config, const Counters& counters) noexcept : config_(config), counters_(counters) {
  asked_.store(false, std::memory_order_relaxed);  // whatever happened in the template
}

std::atomic<bool> Recycling::asked_{false};

void Recycling::end() noexcept {
  set_limits({});
  may_ask_ = false;
}

void Recycling::begin(Instant now) {
  may_ask_ = true;
  const TwoDice dice = roll();
  LifeLimits limits = draw_limits(config_, dice.first, dice.second);
  began_ = now;
  set_limits(limits);
  if (limits.memory == LifeLimits::off) return;
  const std::int64_t used = measure_memory(now);
  if (used <= limits.memory) return;
  // Its successor would need as much: they would replace each other without end.
  log::warning(
      "Worker (pid:{}) uses {:.1f} MiB of memory before its first request: max_worker_memory ({:.1f} MiB) is "
      "not applied; set a larger value",
      ::getpid(), static_cast<double>(used) / mebi, static_cast<double>(limits.memory) / mebi);
  limits.memory = LifeLimits::off;
  set_limits(limits);
}

void Recycling::set_limits(const LifeLimits& limits) noexcept {
  limits_ = limits;
  watches_turns_ = limits.requests != LifeLimits::off || limits.memory != LifeLimits::off;
}

void Recycling::after_turn(Instant now) {
  LifeUse use{.requests = counters_.requests_handled()};
  if (limits_.memory != LifeLimits::off && now >= memory_due_) use.memory = measure_memory(narwhal::now());
  if (const auto why = passed_limit(use, limits_, config_)) expire(*why);
}

void Recycling::tick(Instant now) {
  if (unreported_) return report();
  if (may_ask_ && asked_.load(std::memory_order_relaxed)) return expire("was asked by its application to end");
  if (watches_turns_) after_turn(now);
  if (limits_.age.count() == LifeLimits::off) return;
  if (const auto why = passed_limit({.age = now - began_}, limits_, config_)) expire(*why);
}

// PSS is never more than RSS, which costs far less to read.
std::int64_t Recycling::measure_memory(Instant now) {
  std::int64_t used = resident_memory();
  if (used > limits_.memory) {
    const std::int64_t proportional = proportional_memory();
    if (proportional >= 0) used = proportional;
  }
  memory_due_ = now + std::max<std::chrono::nanoseconds>(memory_pause, (narwhal::now() - now) * memory_pause_factor);
  return used;
}

void Recycling::expire(const std::string& why) {
  log::info("Autorestarting worker after current request.");  // Gunicorn's line
  log::info("Worker (pid:{}) {}: it serves until its successor is ready", ::getpid(), why);
  set_limits({});
  may_ask_ = false;
  report();
}

void Recycling::report() { unreported_ = on_expired != nullptr && !on_expired(expired_context); }

}  // namespace narwhal::worker
