// Counting on the scoreboard. The loop is the only writer of its slot: a plain load and store does it, without the bus
// lock of an atomic addition.
#pragma once

#include <atomic>
#include <cstdint>

namespace narwhal::worker {

inline void count(std::atomic<std::uint64_t>& counter, std::uint64_t amount) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

}  // namespace narwhal::worker
