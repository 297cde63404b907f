// Siblings: what the other serving workers of this generation are doing, as the scoreboard shows it. During a canary those of
// another generation accept beside them.
// Trust    the figures may be late: that costs a wait or a connection in the wrong place, nothing else.
// Threads  the holder of the baton.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/seat.hpp"

namespace narwhal::worker {

class Siblings {
 public:
  explicit Siblings(const Seat& seat) noexcept
      : scoreboard_(seat.scoreboard),
        slot_(seat.slot),
        generation_(seat.generation->number),
        slots_(std::min<std::size_t>(Scoreboard::slots_max, seat.generation->config.workers * 4 + 16)) {}

  struct Summary {
    bool any = false;
    bool any_free = false;         // one of them has a handler to spare
    unsigned connections_min = 0;  // of the sibling that has the fewest
  };
  enum class Among : std::uint8_t { generation, all };
  Summary look(Among among) const noexcept {
    Summary summary;
    for (std::size_t index = 0; index < slots_; ++index) {
      const WorkerSlot& sibling = scoreboard_->slot(index);
      if (index == slot_ || sibling.state.load(std::memory_order_relaxed) != WorkerState::serving) continue;
      const bool is_ours = sibling.generation.load(std::memory_order_relaxed) == generation_;
      if (among == Among::generation && !is_ours) continue;
      const unsigned connections = sibling.connections.load(std::memory_order_relaxed);
      summary.connections_min = summary.any ? std::min(summary.connections_min, connections) : connections;
      summary.any = true;
      summary.any_free = summary.any_free || sibling.free_handlers.load(std::memory_order_relaxed) != 0;
    }
    return summary;
  }

 private:
  const Scoreboard* scoreboard_;
  std::uint32_t slot_;
  std::uint64_t generation_;
  // The master fills low slots first: looking at all of them would only commit their pages.
  std::size_t slots_;
};

}  // namespace narwhal::worker
