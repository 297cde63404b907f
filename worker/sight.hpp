// Sight: what the standby thread saw of the baton, look by look, and what it concludes. No thread, no clock: a test gives
// it any sequence of looks.
#pragma once

#include <chrono>
#include <utility>

#include "core/clock.hpp"
#include "worker/baton.hpp"

namespace narwhal::worker {

class Sight {
 public:
  // `inline_patience`: how long an inline handler may keep the loop waiting.
  Sight(std::chrono::milliseconds inline_patience, Instant now) noexcept
      : inline_patience_(inline_patience), since_(now) {}

  // One look. True: the handler that was there at the last look still keeps the loop waiting, and has had its time.
  bool keeps_waiting(Baton::Phase phase, Instant now) noexcept {
    const bool is_same = std::exchange(phase_, phase) == phase;
    if (!is_same) since_ = now;
    if (phase.in_handler() && is_same && (!phase.is_inline() || now - since_ >= inline_patience_)) return true;
    // Nothing that the standby will be needed for soon.
    const bool is_quiet = phase.in_handler() ? phase.is_inline() : is_same;
    quiet_looks_ = is_quiet ? quiet_looks_ + 1 : 0;
    return false;
  }

  Baton::Phase phase() const noexcept { return phase_; }  // at the last look
  bool is_quiet() const noexcept { return quiet_looks_ >= quiet_looks_max; }

 private:
  static constexpr int quiet_looks_max = 10;

  const std::chrono::milliseconds inline_patience_;
  Baton::Phase phase_;
  Instant since_;        // when phase_ was seen first
  int quiet_looks_ = 0;  // in a row
};

}  // namespace narwhal::worker
