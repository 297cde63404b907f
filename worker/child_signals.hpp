// The signals of what a handler forks off, which is no worker: it shares the pipe that a signal wakes the loop by, so that
// a TERM sent to it would retire the worker.
#pragma once

namespace narwhal::worker {

// Main thread, once, when the worker's signals are handled. In children that are forked from then on, what is still
// handled as it is now has its default action again.
void keep_signals_from_forked_children() noexcept;

}  // namespace narwhal::worker
