// The Python interpreter: the program that this process runs (module.cpp), one for all applications that are mounted.
// Life     the template is such a program, and the workers are its forks; ended by the last mount's worker_exit, or with
//          the process when a handler still runs Python code.
// Threads  main thread only, except where it says otherwise. Between calls the GIL is free.
#pragma once

#include <string>

#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

// Takes the GIL. The folders of `pythonpath`, with commas between them, come first in sys.path. Returns an empty text, or
// why it failed; the GIL is not held then.
std::string enter_interpreter(const std::string& pythonpath);
// Releases the GIL, for the handler threads.
void leave_interpreter() noexcept;

// Around each fork in the template. Every mount calls them; the first call counts.
void before_fork() noexcept;
bool is_forking_a_worker() noexcept;  // true in the new worker too, until enter_interpreter()
void after_fork_in_template() noexcept;

// On each thread that runs handlers, once for each mount; the thread's state is made once. False: out of memory.
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

// Writes the Python stack of every thread to the log. Any thread, without the GIL: another may hold that for ever.
void log_all_stacks(std::int32_t level, std::string_view line) noexcept;

// At the end of preload(), with the GIL: from then on the garbage collector does not touch the objects that are alive
// now, so that their memory stays shared with the workers.
void freeze_collector() noexcept;

// At the worker's end: takes the GIL. False: a handler still runs Python code, so the interpreter must not be ended.
bool enter_for_the_end() noexcept;
// With the GIL: waits for threads that are not daemons, runs atexit functions, flushes, and frees what is not shared.
void end_interpreter() noexcept;
// The same without freeing, for a process that shares memory with the one that it was forked from: freeing would copy
// that memory, page by page.
void end_python_of_a_copy() noexcept;

}  // namespace narwhal::wsgi
