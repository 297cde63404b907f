// A process that a handler forks off is not a worker, though it begins as the copy of one.
// Signals    It shares the pipe that a signal wakes the loop by: a TERM sent to it would retire the worker. So what the
//            worker handles has its default action again, unless the application has a handler of its own there.
// Listeners  Clients would go on connecting to them, with nobody to accept, for as long as it lives. They are closed.
// Threads    main thread.
#pragma once

#include "core/seat.hpp"

namespace narwhal::worker {

// Before any code of the application's runs in this worker; `seat` may end.
void prepare_for_forked_children(const Seat& seat);
// Once more, when the worker has set its handlers.
void note_handled_signals() noexcept;

}  // namespace narwhal::worker
