#include "worker/extensions.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <new>
#include <span>

#include "core/log.hpp"
#include "core/log_limit.hpp"
#include "narwhal/extensions.h"
#include "narwhal/text.hpp"
#include "worker/loop_calls.hpp"

namespace narwhal::worker {

namespace {

using Entry = NumberTable::Entry;
using Kind = NumberTable::Kind;

// One server a process.
NumberTable* numbers = nullptr;
NumberTable::Gauges* own_gauges = nullptr;  // null in the template
LoopCalls* loop_calls = nullptr;            // null in the template

constexpr auto relaxed = std::memory_order_relaxed;

Entry* enter(const NumberTable::Key& key) noexcept try {
  static LogLimit limit;
  if (numbers == nullptr) return nullptr;
  Result<Entry*> entered = numbers->enter(key);
  if (entered) return *entered;
  limit.error("a plugin's {}", entered.error());
  return nullptr;
} catch (const std::bad_alloc&) {
  log::error("a plugin's number or metric: out of memory");
  return nullptr;
}

// ---- narwhal.counters/1 ----

int64_t* number(narwhal_bytes name) noexcept {
  static_assert(sizeof(std::atomic<std::int64_t>) == sizeof(std::int64_t));
  Entry* const entry = enter({.kind = Kind::shared, .name = view_of(name)});
  return entry != nullptr ? reinterpret_cast<int64_t*>(&entry->shared) : nullptr;
}

constexpr narwhal_counters counters{sizeof(narwhal_counters), number};

// ---- narwhal.metrics/1 ----

narwhal_metric* metric(int32_t kind, narwhal_bytes name, narwhal_bytes labels, narwhal_bytes help, const double* bounds,
                       uint32_t bound_count) noexcept {
  constexpr Kind kinds[] = {Kind::counter, Kind::gauge, Kind::histogram};
  if (kind < NARWHAL_COUNTER || kind > NARWHAL_HISTOGRAM) {
    static LogLimit limit;
    limit.error("a plugin's metric '{}' is of the kind {}, which this server does not know", view_of(name), kind);
    return nullptr;
  }
  const std::span<const double> given(bounds, bounds != nullptr ? bound_count : 0);
  Entry* const entry = enter({kinds[kind], view_of(name), view_of(labels), view_of(help), given});
  return reinterpret_cast<narwhal_metric*>(entry);
}

void observe(Entry& entry, double value) noexcept {
  const auto bounds = std::span(entry.bounds).first(std::min<std::size_t>(entry.bound_count, NumberTable::bounds_max));
  const auto place = static_cast<std::size_t>(std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin());
  entry.counts[place].fetch_add(1, relaxed);
  entry.total.fetch_add(value, relaxed);
}

std::atomic<double>* gauge_of(const Entry& entry) noexcept {
  return own_gauges != nullptr && entry.gauge < NumberTable::gauges_max ? &own_gauges->values[entry.gauge] : nullptr;
}

void add(narwhal_metric* metric, double value) noexcept {
  auto* const entry = reinterpret_cast<Entry*>(metric);
  if (entry == nullptr || std::isnan(value)) return;
  switch (entry->kind) {
    case Kind::counter:
      if (value >= 0) entry->total.fetch_add(value, relaxed);
      break;
    case Kind::gauge:
      if (auto* const gauge = gauge_of(*entry)) gauge->fetch_add(value, relaxed);
      break;
    case Kind::histogram: observe(*entry, value); break;
    case Kind::shared: break;
  }
}

void set(narwhal_metric* metric, double value) noexcept {
  auto* const entry = reinterpret_cast<Entry*>(metric);
  if (entry == nullptr || entry->kind != Kind::gauge || std::isnan(value)) return;
  if (auto* const gauge = gauge_of(*entry)) gauge->store(value, relaxed);
}

constexpr narwhal_metrics metrics{sizeof(narwhal_metrics), metric, add, set};

// ---- narwhal.loop/1 ----

int post(void (*run)(void*), void* argument) noexcept try {
  if (loop_calls == nullptr) return NARWHAL_STATE;
  loop_calls->post(run, argument);
  return NARWHAL_OK;
} catch (const std::bad_alloc&) {
  return NARWHAL_ERROR;
}

std::chrono::milliseconds milliseconds_of(std::uint64_t ns) noexcept {
  constexpr std::uint64_t in_one = 1'000'000;
  return std::chrono::milliseconds((ns + in_one - 1) / in_one);
}

narwhal_timer* start_timer(uint64_t first_ns, uint64_t every_ns, void (*fire)(void*), void* argument) noexcept try {
  if (loop_calls == nullptr) return nullptr;
  return reinterpret_cast<narwhal_timer*>(
      loop_calls->start(milliseconds_of(first_ns), milliseconds_of(every_ns), fire, argument));
} catch (const std::bad_alloc&) {
  return nullptr;
}

void stop_timer(narwhal_timer* timer) noexcept try {
  if (timer != nullptr) loop_calls->stop(reinterpret_cast<LoopCalls::Timer*>(timer));
} catch (const std::bad_alloc&) {  // its memory stays; it does not fire any more
}

constexpr narwhal_loop loop{sizeof(narwhal_loop), post, start_timer, stop_timer};

// ---- by name ----

struct Extension {
  std::string_view id;
  const void* table;
};
constexpr Extension extensions[] = {{NARWHAL_COUNTERS, &counters}, {NARWHAL_METRICS, &metrics}, {NARWHAL_LOOP, &loop}};

// The end of what is before ".draft/", or before the number; npos: it is not such a name.
std::size_t end_of_name(std::string_view id) noexcept {
  const std::size_t draft = id.find(".draft/");
  return draft != id.npos ? draft : id.rfind('/');
}

// A draft of another release: its author may not know that it is gone. Other names that this server lacks are no news.
void report_draft(std::string_view id) noexcept {
  if (id.find(".draft/") == id.npos) return;
  static LogLimit limit(5);
  const std::string_view name = id.substr(0, end_of_name(id));
  const auto* const now = std::find_if(std::begin(extensions), std::end(extensions), [name](const Extension& each) {
    return each.id.substr(0, end_of_name(each.id)) == name;
  });
  if (now != std::end(extensions))
    return limit.warning(
        "a plugin asks for the draft extension '{}', which this server has as '{}': build the plugin for that", id,
        now->id);
  limit.warning(
      "a plugin asks for the draft extension '{}', which this server does not have: drafts may change with each "
      "release; "
      "the plugin does without it",
      id);
}

}  // namespace

void open_numbers(Scoreboard& scoreboard) noexcept { numbers = &scoreboard.numbers(); }

void open_worker_extensions(Scoreboard& scoreboard, std::size_t slot, LoopCalls& calls) noexcept {
  open_numbers(scoreboard);
  own_gauges = &scoreboard.gauges(slot);
  loop_calls = &calls;
}

const void* find_extension(const char* id) noexcept {
  if (id == nullptr) return nullptr;
  for (const Extension& each : extensions) {
    if (each.id == id) return each.table;
  }
  report_draft(id);
  return nullptr;
}

}  // namespace narwhal::worker
