// What the application forks off is no worker, though it begins as the copy of one: a child that comes back out of the
// application, by sys.exit() as a rule, would write a second answer and then serve its parent's connections.
#pragma once

#include <string_view>

namespace narwhal::wsgi {

extern bool is_forked_child;

// Where the application is loaded, before it is.
void watch_for_forks() noexcept;

// With the GIL, and with the exception that the child came back by, if any: ends it as Python ends a process.
[[noreturn]] void end_forked_child() noexcept;

// Behind each call of the application's code.
inline void end_if_forked() noexcept {
  if (is_forked_child) end_forked_child();
}

}  // namespace narwhal::wsgi
