// How much memory this process uses, in bytes, as the kernel counts it. -1 where it cannot be read.
#pragma once

#include <cstdint>

namespace narwhal::worker {

// Pages in memory, shared ones counted whole (RSS). A few microseconds.
std::int64_t resident_memory() noexcept;
// The same, with each shared page divided by the number of processes that share it (PSS): what all processes together use is
// the sum of these. The kernel visits every page: a millisecond for some hundred megabytes.
std::int64_t proportional_memory() noexcept;

}  // namespace narwhal::worker
