// Requests that a plugin has not finished when its worker leaves: their lines in the log.
// Threads  the holder of the baton.
#pragma once

namespace narwhal::worker {

class Loop;

// Names them, but no more than a few.
void log_unfinished(Loop& loop) noexcept;

}  // namespace narwhal::worker
