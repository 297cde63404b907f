// Becoming the Python interpreter that runs a generation's Python applications: it loads the worker as a library.
#pragma once

#include "core/seat.hpp"

namespace narwhal::server {

bool needs_python(const Config& config);

enum class PythonTask { run_template, check_plugins };
// In a child that does nothing else. Returns only if it fails.
Error become_python(const TemplateSeat& seat, PythonTask task);

}  // namespace narwhal::server
