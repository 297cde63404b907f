// Deadlines made from settings: a limit of zero is none.
#pragma once

#include <chrono>

#include "core/clock.hpp"

namespace narwhal {

constexpr Instant deadline_after(Instant start, std::chrono::seconds limit) noexcept {
  return limit.count() <= 0 ? never : start + limit;
}

}  // namespace narwhal
