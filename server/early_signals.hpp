// Signals between the program's first instruction and the master's SignalPipe.
// Stop     TERM, INT and QUIT end the process with code 0: nothing has been made yet that must be removed. With the
//          default action the exit status would show a failure, and the kernel would discard them for process 1 of a
//          container, which then would have to be killed.
// Others   what the master handles (HUP, USR1 and so on) is blocked, and reaches the master when it unblocks it.
#pragma once

namespace narwhal::server {

// Called before main(). Async-signal-safe.
void begin_early_signals() noexcept;
// Default actions and nothing blocked: for a process that does not become a master.
void end_early_signals() noexcept;

}  // namespace narwhal::server
