// Becoming the Python interpreter that runs a generation's Python applications: it loads the worker as a library.
#pragma once

#include "core/seat.hpp"

namespace narwhal::server {

bool needs_python(const Config& config);

enum class PythonTask { run_template, check_plugins, debug };
// In a process that does nothing else: a child, or with --debug the only one. Returns only if it fails.
Error become_python(const TemplateSeat& seat, PythonTask task);

}  // namespace narwhal::server
