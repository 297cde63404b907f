// The setting seccomp: which system calls template and workers may make. The filter is set once in the template, before
// any code that is not ours, and each worker and each of their children inherits it.
//   enforce  what is not listed is not done: the call fails with EPERM, and the error log names it once for each process.
//   learn    everything is done. A process beside the template, which ends after the last that it watches, adds what is
//            not listed to the file. If it is killed, unlisted calls fail with ENOSYS.
// Always listed: what narwhal and the C library need to serve, to log and to report a crash.
#pragma once

#include <string>
#include <vector>

#include "core/fd.hpp"
#include "core/generation.hpp"
#include "core/result.hpp"

namespace narwhal::worker {

// `learned`: where new names are appended to; for learn.
Result<Done> restrict_system_calls(const Generation& generation, Fd learned);
// In each process that runs under a filter of kind enforce: where a refused call is logged.
void log_refused_system_calls(const Generation& generation) noexcept;

}  // namespace narwhal::worker
