// The plugin's Python: the files of plugins/wsgi/python/, which meson turns into constant strings.
// Threads    with the GIL.
#pragma once

#include "plugins/wsgi/python.hpp"

namespace narwhal::wsgi {

extern const char application_script[];      // python/application.py
extern const char forked_script[];           // python/forked.py
extern const char hooks_script[];            // python/hooks.py
extern const char loggers_script[];          // python/loggers.py
extern const char process_loggers_script[];  // python/process_loggers.py

// Runs a script in a namespace of its own and returns that, a dict; null: an exception. `file_name` is what tracebacks
// call the script; it begins with "<narwhal", by which tracebacks in the log are cut to the application's part.
PyObject* run_script(const char* script, const char* file_name) noexcept;

}  // namespace narwhal::wsgi
