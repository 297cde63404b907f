// Deadlines on the clock of now_ns(); a limit of zero is none.
#pragma once

#include <chrono>
#include <cstdint>

namespace narwhal::server {

constexpr std::uint64_t never_ns = UINT64_MAX;
constexpr std::uint64_t second_ns = 1'000'000'000;

constexpr std::uint64_t deadline_after(std::uint64_t now_ns, std::chrono::seconds limit) noexcept {
  if (limit.count() <= 0) return never_ns;
  return now_ns + static_cast<std::uint64_t>(limit.count()) * second_ns;
}

}  // namespace narwhal::server
