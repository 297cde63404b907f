// CrashWatch: whether the workers of a generation crash again and again since it was admitted. Pure: the caller says
// what died and when.
#pragma once

#include "core/clock.hpp"

namespace narwhal::server {

class CrashWatch {
 public:
  void admitted(Instant now) { admitted_ = now; }
  // A worker that was forked at `spawned` crashed before it was ready or in its first ten seconds, whether or not it had
  // answered requests.
  void crashed_young(Instant spawned) {
    ++young_;
    if (spawned > admitted_) ++repeated_;
  }
  // Workers crashed young, and so did their replacements. Several deaths at the same time are not enough: the cause may
  // be an operator or the machine.
  bool loops() const { return young_ >= 3 && repeated_ >= 2; }
  unsigned young() const { return young_; }

 private:
  Instant admitted_ = unset;
  unsigned young_ = 0;
  unsigned repeated_ = 0;  // those of workers forked after the admission
};

}  // namespace narwhal::server
