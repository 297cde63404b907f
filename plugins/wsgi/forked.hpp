// Processes that the application forks begin as copies of the worker, but are not workers. A child that returns from
// the application, usually by sys.exit(), would write a second answer and then serve its parent's connections; it is
// ended.
#pragma once

#include <string_view>

namespace narwhal::wsgi {

extern bool is_forked_child;

// Call it before the application is loaded, in the process that loads it.
void watch_for_forks() noexcept;

// Ends the process as Python does. With the GIL, and with the exception that left the application, if there is one.
[[noreturn]] void end_forked_child() noexcept;

// Call it after each call of the application's code.
inline void end_if_forked() noexcept {
  if (is_forked_child) end_forked_child();
}

}  // namespace narwhal::wsgi
