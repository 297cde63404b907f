// One worker's life, from the fork to its exit status.
#pragma once

#include <memory>
#include <vector>

#include "core/seat.hpp"
#include "worker/code_files.hpp"
#include "worker/plugin.hpp"

namespace narwhal::worker {

class Loop;

// In the worker's own process, with default signal actions. Leaves by returning the exit status, or by _exit().
int run_worker(Seat& seat, std::vector<std::unique_ptr<Mount>> mounts, CodeFiles& code_files);

// ---- its parts, which a worker without a master has as well ----
void raise_descriptor_limit(const Seat& seat);
HookResult boot(const Seat& seat, Loop& loop, const AboutTo& about_to);

}  // namespace narwhal::worker
