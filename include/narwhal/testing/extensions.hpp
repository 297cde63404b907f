// The extensions of narwhal/extensions.h in the harness. Numbers and metrics are the test program's: all its workers share
// them, as those of a server do. Time for timers is that which the test lets pass.
// Ownership  numbers and metrics are never freed. A timer is its worker's, and is kept, so that late use of it is found.
// Threads    any; calls are made on the test's thread, which is the event loop.
#pragma once

#include <narwhal/extensions.h>
#include <narwhal/testing/site.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

struct narwhal_metric {
  std::int32_t kind = 0;
  std::vector<double> bounds = {};
  std::vector<std::uint64_t> counts = {};
  double value = 0;  // of a histogram: the sum
};
struct narwhal_timer {
  std::shared_ptr<narwhal::testing::detail::Site> site;
  void (*fire)(void*) = nullptr;
  void* argument = nullptr;
  std::chrono::milliseconds due{0}, every{0};
  bool stopped = false, waits = true;
};

namespace narwhal::testing::detail {

struct Numbers {
  std::mutex mutex;
  std::map<std::string, std::int64_t> shared;
  std::map<std::pair<std::string, std::string>, narwhal_metric> metrics;  // by name and labels
};
inline Numbers& numbers() {
  static auto& all = *new Numbers;
  return all;
}

namespace calls {

inline std::int64_t* number(narwhal_bytes name) noexcept {
  const std::lock_guard lock(numbers().mutex);
  return name.size == 0 || name.size > 100 ? nullptr : &numbers().shared[std::string(view_of(name))];
}

// The rules that a mistake breaks most often; the server has them all.
inline narwhal_metric* metric(std::int32_t kind, narwhal_bytes name, narwhal_bytes labels, narwhal_bytes,
                              const double* bounds, std::uint32_t count) noexcept {
  const std::string text(view_of(name));
  const auto refuse = [&text](const char* reason) -> narwhal_metric* {
    if (const std::shared_ptr<Site> site = current_site())
      site->breach("asked for the metric '" + text + "': " + reason);
    return nullptr;
  };
  const bool is_name =
      !text.empty() && text.size() <= 100 && !(text[0] >= '0' && text[0] <= '9') &&
      std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == ':';
      });
  if (!is_name || text.starts_with("narwhal_")) return refuse("this is not a name for one");
  if (kind < NARWHAL_COUNTER || kind > NARWHAL_HISTOGRAM) return refuse("there is no such kind");
  const std::vector<double> wanted(bounds, bounds + (bounds != nullptr ? count : 0));
  if ((kind == NARWHAL_HISTOGRAM) == wanted.empty()) return refuse("a histogram has bounds, and nothing else has");
  if (std::adjacent_find(wanted.begin(), wanted.end(), std::greater_equal<>()) != wanted.end())
    return refuse("its bounds do not grow");
  const std::lock_guard lock(numbers().mutex);
  for (const auto& [key, other] : numbers().metrics) {
    if (key.first == text && (other.kind != kind || other.bounds != wanted))
      return refuse("the name has another kind or other bounds already");
  }
  narwhal_metric& made = numbers().metrics[{text, std::string(view_of(labels))}];
  made.kind = kind;
  made.bounds = wanted;
  made.counts.resize(wanted.size() + 1);
  return &made;
}
inline void add_to_metric(narwhal_metric* metric, double value) noexcept {
  if (metric == nullptr || value != value) return;
  const std::lock_guard lock(numbers().mutex);
  if (metric->kind == NARWHAL_COUNTER && value < 0) return;
  metric->value += value;
  const auto place = std::lower_bound(metric->bounds.begin(), metric->bounds.end(), value) - metric->bounds.begin();
  ++metric->counts[static_cast<std::size_t>(place)];
}
inline void set_metric(narwhal_metric* metric, double value) noexcept {
  if (metric == nullptr || metric->kind != NARWHAL_GAUGE || value != value) return;
  const std::lock_guard lock(numbers().mutex);
  metric->value = value;
}

inline int post(void (*run)(void*), void* argument) noexcept {
  const std::shared_ptr<Site> site = current_site();
  if (site == nullptr) return NARWHAL_STATE;
  const std::lock_guard lock(site->mutex);
  site->posted.push_back({run, argument});
  return NARWHAL_OK;
}
inline narwhal_timer* start_timer(std::uint64_t first_ns, std::uint64_t every_ns, void (*fire)(void*),
                                  void* argument) noexcept {
  const std::shared_ptr<Site> site = current_site();
  if (site == nullptr) return nullptr;
  const auto rounded_up = [](std::uint64_t ns) {
    return std::chrono::milliseconds(static_cast<std::int64_t>((ns + 999'999) / 1'000'000));
  };
  const std::lock_guard lock(site->mutex);
  auto& timer =
      *new narwhal_timer{site, fire, argument, site->time_passed + rounded_up(first_ns), rounded_up(every_ns)};
  if (site->timers.empty()) {
    const std::lock_guard sites_lock(sites().mutex);
    sites().with_timers.push_back(site);
  }
  site->timers.push_back(&timer);
  return &timer;
}
inline void stop_timer(narwhal_timer* timer) noexcept {
  if (timer == nullptr) return;
  bool was_stopped = false;
  {
    const std::lock_guard lock(timer->site->mutex);
    was_stopped = std::exchange(timer->stopped, true);
  }
  if (was_stopped) timer->site->breach("called stop_timer() twice for a timer: the second call may meet another one");
}

inline const void* get_extension(const char* id) noexcept {
  static constexpr narwhal_counters counters{sizeof(narwhal_counters), number};
  static constexpr narwhal_metrics metrics{sizeof(narwhal_metrics), metric, add_to_metric, set_metric};
  static constexpr narwhal_loop loop{sizeof(narwhal_loop), post, start_timer, stop_timer};
  const std::string_view name = id != nullptr ? id : "";
  if (name == NARWHAL_COUNTERS) return &counters;
  if (name == NARWHAL_METRICS) return &metrics;
  return name == NARWHAL_LOOP ? &loop : nullptr;
}

}  // namespace calls

// Makes the calls that have been posted, also those that they post.
inline void make_posted_calls(const std::shared_ptr<Site>& site) {
  while (true) {
    std::vector<Site::Posted> calls;
    {
      const std::lock_guard lock(site->mutex);
      calls.swap(site->posted);
    }
    if (calls.empty()) return;
    for (const Site::Posted& call : calls)
      loop_hook(site, "a function that it has posted", [&] { call.run(call.argument); });
  }
}

// Fires what is due within this time, in its order.
inline void pass_time(const std::shared_ptr<Site>& site, std::chrono::milliseconds time) {
  make_posted_calls(site);
  std::unique_lock lock(site->mutex);
  const std::chrono::milliseconds end = site->time_passed + time;
  while (true) {
    narwhal_timer* next = nullptr;
    for (narwhal_timer* timer : site->timers) {
      const bool is_due = timer->waits && !timer->stopped && timer->due <= end;
      if (is_due && (next == nullptr || timer->due < next->due)) next = timer;
    }
    if (next == nullptr) break;
    site->time_passed = std::max(site->time_passed, next->due);
    next->waits = next->every.count() != 0;
    next->due += next->every;
    lock.unlock();
    loop_hook(site, "a timer's function", [&] { next->fire(next->argument); });
    make_posted_calls(site);
    lock.lock();
  }
  site->time_passed = end;
}

}  // namespace narwhal::testing::detail
