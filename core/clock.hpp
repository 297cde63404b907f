// The clocks. Deadlines use now_ns(): monotonic, and standing still while the machine is suspended, so a
// laptop that wakes up has not lost every request.
#pragma once

#include <time.h>

#include <cstdint>

namespace narwhal {

inline std::uint64_t now_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace narwhal
