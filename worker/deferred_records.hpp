// DeferredRecords: the deferred requests of this worker on the scoreboard. If the worker dies, the master names them.
// Limits   WorkerSlot::deferred_max have a record. Those beyond are only counted, so that a worker with 10,000 event streams
//          pays nothing for them.
// Threads  the holder of the baton.
#pragma once

#include <cstdint>

#include "core/scoreboard.hpp"

namespace narwhal::worker {

class Exchange;

class DeferredRecords {
 public:
  explicit DeferredRecords(WorkerSlot& slot) noexcept : slot_(slot) {}

  void begin(Exchange& exchange) noexcept;  // its handler has deferred it
  void end(Exchange& exchange) noexcept;    // one that began; before it is used again

 private:
  static constexpr std::uint8_t only_counted = WorkerSlot::deferred_max + 1;

  WorkerSlot& slot_;
  std::uint64_t used_ = 0;  // a bit for each record
};

}  // namespace narwhal::worker
