#include "core/totals.hpp"

#include <algorithm>
#include <numeric>

namespace narwhal {
namespace {

std::uint64_t value(const std::atomic<std::uint64_t>& counter) { return counter.load(std::memory_order_relaxed); }

void add_route(RouteTotals& totals, const RouteCounters& counters) {
  for (std::size_t i = 0; i < totals.status_class.size(); ++i)
    totals.status_class[i] += value(counters.status_class[i]);
  for (std::size_t i = 0; i < totals.latency.size(); ++i) totals.latency[i] += value(counters.latency[i]);
  totals.microseconds += value(counters.microseconds);
}

bool is_used(const RouteCounters& counters) {
  return std::any_of(std::begin(counters.status_class), std::end(counters.status_class),
                     [](const auto& counter) { return value(counter) != 0; });
}

}  // namespace

std::uint64_t RouteTotals::requests() const {
  return std::accumulate(status_class.begin(), status_class.end(), std::uint64_t{0});
}

void Totals::add(const WorkerSlot& slot, std::span<const Route> routes_of_slot) {
  accepted += value(slot.accepted);
  not_accepted += value(slot.not_accepted);
  requests += value(slot.requests);
  refused += value(slot.refused);
  overloaded += value(slot.overloaded);
  timed_out += value(slot.timed_out);
  bytes_in += value(slot.bytes_in);
  bytes_out += value(slot.bytes_out);
  poisoned += value(slot.poisoned);
  log_dropped += value(slot.log_dropped);
  constexpr std::size_t last = WorkerSlot::routes_max - 1;
  for (std::size_t i = 0; i < std::min(routes_of_slot.size(), last); ++i)
    add_route(entry(routes_of_slot[i]), slot.routes[i]);
  if (is_used(slot.routes[last])) add_route(entry("", ""), slot.routes[last]);
}

void Totals::add_unanswered(std::span<const Route> routes_of_slot, std::size_t route) {
  const bool has_entry = route < std::min(routes_of_slot.size(), WorkerSlot::routes_max - 1);
  RouteTotals& totals = has_entry ? entry(routes_of_slot[route]) : entry("", "");
  ++totals.status_class[0];
  ++requests;
}

RouteTotals& Totals::entry(const std::string& route, const std::string& app) {
  const auto found = std::find_if(routes.begin(), routes.end(),
                                  [&](const RouteTotals& each) { return each.route == route && each.app == app; });
  if (found != routes.end()) return *found;
  RouteTotals added;
  added.route = route;
  added.app = app;
  return routes.emplace_back(std::move(added));
}

}  // namespace narwhal
