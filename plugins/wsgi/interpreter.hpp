// The interpreter: one for the process, whatever number of applications is mounted.
// Life     started by the first mount's set-up, in the template (preload) or in the worker; ended by the last
//          mount's worker_exit, or with the process when a handler is still inside Python.
// Threads  main thread only, but where it says otherwise. Between calls the GIL is free.
#pragma once

#include <string>

#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

struct InterpreterOptions {
  std::string venv;        // folder of a virtual environment; empty: $VIRTUAL_ENV, else none
  std::string pythonpath;  // folders for the front of sys.path, with commas between them
};

// Starts it if need be, goes on with what the template left, and takes the GIL. Empty, or why it cannot be: then the
// GIL is not held.
std::string enter_interpreter(const InterpreterOptions& options);
// Gives the GIL back; it is for the threads from then on.
void leave_interpreter() noexcept;

// Around a fork of the template's; more mounts than one are told, and the first does it.
void before_fork() noexcept;
bool is_forking_a_worker() noexcept;  // in the worker too, until it has entered
void after_fork_in_template() noexcept;

// On each thread that runs handlers, also for each mount: the thread's state is made once. False: no memory.
bool attach_thread() noexcept;
void detach_thread() noexcept;

// Holds the GIL for a handler, on a thread that is attached.
class Gil {
 public:
  Gil() noexcept;
  ~Gil();
  Gil(const Gil&) = delete;
  Gil& operator=(const Gil&) = delete;
};

// Any thread, without the GIL, which another may hold for ever: the Python stack of every thread, into the log.
void log_all_stacks(std::string_view line) noexcept;

// At the end of preload(), with the GIL: what is alive now is left alone by the collector, so that it stays shared.
void freeze_collector() noexcept;

// At the worker's end: takes the GIL. False: a handler is still inside, and nothing may be taken from under it.
bool enter_for_the_end() noexcept;
// With the GIL: waits for threads that are no daemons, runs atexit handlers, flushes, and tears down what is not shared.
void end_interpreter() noexcept;
// The same for a process that shares its memory with the one it was forked from, but nothing is freed: that would copy
// it, page by page. Only what can be noticed is done.
void end_python_of_a_copy() noexcept;

}  // namespace narwhal::wsgi
