// What narwhal_host.get_extension() gives (narwhal/extensions.h).
// Threads  open_*(): the main thread, before a plugin is called. find_extension(): any.
#pragma once

#include "core/scoreboard.hpp"

namespace narwhal::worker {

class LoopCalls;

// In the template and in each worker. Without it, there are no numbers and no metrics.
void open_numbers(Scoreboard& scoreboard) noexcept;
// In a worker: whose gauges are set, and the loop that makes its plugins' calls.
void open_worker_extensions(Scoreboard& scoreboard, std::size_t slot, LoopCalls& calls) noexcept;

const void* find_extension(const char* id) noexcept;

}  // namespace narwhal::worker
