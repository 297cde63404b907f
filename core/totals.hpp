// Totals: what workers have counted on the scoreboard, added up as plain numbers.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/config.hpp"
#include "core/scoreboard.hpp"

namespace narwhal {

// The answered requests of one route: RouteCounters has the meaning of each number.
struct RouteTotals {
  std::string route, app;  // Route::name(); both empty: requests without a route
  std::array<std::uint64_t, 6> status_class{};
  std::array<std::uint64_t, RouteCounters::buckets> latency{};
  std::uint64_t microseconds = 0;

  std::uint64_t requests() const;
};

struct Totals {
  std::uint64_t accepted = 0, not_accepted = 0, requests = 0, refused = 0, overloaded = 0, timed_out = 0, bytes_in = 0,
                bytes_out = 0, log_dropped = 0, poisoned = 0;
  std::vector<RouteTotals> routes;

  // `routes` are those of the slot's generation.
  void add(const WorkerSlot& slot, std::span<const Route> routes);
  // A request whose worker has ended before it was answered.
  void add_unanswered(std::span<const Route> routes, std::size_t route);

 private:
  RouteTotals& entry(const std::string& route, const std::string& app);
  RouteTotals& entry(const Route& route) { return entry(route.name(), route.app); }
};

}  // namespace narwhal
