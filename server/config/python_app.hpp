// Python applications: the options of the plugin that runs them, and their virtual environment.
#pragma once

#include <string>

#include "core/config.hpp"

namespace narwhal::server {

// The options of the WSGI plugin for a route: the app, and the settings that only Python uses, unless the route's own
// options set them.
Options python_options(const Config& config, const Route& route);

// The virtual environment whose bin folder contains `program`, as it was called, and `python`; empty if there is none.
// Symbolic links are not followed: venv/bin/narwhal may be one, as venv/bin/python is. A name without a slash is
// searched in PATH; a relative path is relative to `directory`.
std::string venv_of_program(const std::string& program, const std::string& path, const std::string& directory);

}  // namespace narwhal::server
