// A process that a handler forks is not a worker, though it begins as the copy of one.
// Signals    It shares the pipe that a signal wakes the loop by: a TERM sent to it would retire the worker. So the signals
//            that the worker handles have their default action again, unless the application has a handler of its own.
// Listeners  Clients would go on connecting to them, and nobody would accept, for as long as it lives. They are closed.
// Threads    main thread.
#pragma once

#include "core/seat.hpp"

namespace narwhal::worker {

// Before any code of the application runs in this worker. `seat` may end afterwards.
void prepare_for_forked_children(const Seat& seat);
// Again, when the worker has set its handlers.
void note_signal_handlers() noexcept;

}  // namespace narwhal::worker
