// Whether a request that runs in its handler since `started` has passed the timeout of its route: its client has got 504.
#pragma once

#include <cstddef>

#include "core/clock.hpp"
#include "core/config.hpp"

namespace narwhal::server {

inline bool has_passed_timeout(Instant started, std::size_t route, const Config& config, Instant now) {
  const auto own = route < config.routes.size() ? config.routes[route].timeout : std::nullopt;
  const auto limit = own.value_or(config.timeout);
  return limit.count() != 0 && started + limit <= now;
}

}  // namespace narwhal::server
