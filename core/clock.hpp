// The clock of every deadline and age. It is monotonic and stops while the machine is suspended, so that requests do
// not time out when a laptop wakes up.
#pragma once

#include <time.h>

#include <chrono>

namespace narwhal {

using Instant = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;

constexpr Instant unset{};  // nothing has happened yet; the clock reads this only while the machine boots
constexpr Instant never = Instant::max();  // a deadline that does not come

// steady_clock::now() without the call into the C++ library.
inline Instant now() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return Instant(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

constexpr double seconds_of(std::chrono::nanoseconds duration) noexcept {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace narwhal
