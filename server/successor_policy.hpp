// When the successor of a worker is forked that has died. Pure: the caller says what died, and when.
// At once    the worker has served for long, or an operator has ended it by a signal, or it has answered requests: the
//            code can be served, so no place stays vacant. `pace` is the shortest time between two forks for one place,
//            so that a handler that crashes at every tenth request does not make the server fork without a pause.
// Back-off   it died at its boot or before it had answered anything: its successor most likely will too (backoff.hpp).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "core/clock.hpp"
#include "server/backoff.hpp"

namespace narwhal::server {

constexpr std::chrono::milliseconds pace{250};

constexpr Instant soonest_successor(Instant spawned, Instant now) { return std::max(now, Instant(spawned + pace)); }

struct Death {
  std::chrono::nanoseconds served;  // since its generation was admitted; 0: it was not
  std::uint64_t answered;           // requests
  bool by_signal;                   // TERM, INT or QUIT has ended it
};

constexpr bool needs_back_off(const Death& death) {
  if (death.served >= Backoff::long_life || death.answered > 0) return false;
  return !death.by_signal || death.served == std::chrono::nanoseconds::zero();
}

}  // namespace narwhal::server
