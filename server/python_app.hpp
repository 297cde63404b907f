// Python applications: which plugin runs them, and what it is told.
#pragma once

#include <string>
#include <vector>

#include "core/config.hpp"

namespace narwhal::server {

// For each route that names no file: an installed plugin's path in place of its name, NAME.so or NAME/NAME.so in the
// first of `directories` that has it; and to a Python app the WSGI plugin as its `plugin`. A plain name that is no
// plugin's is a Python module's. Returns what cannot be: "app: 'web:app' is a Python application, and ...".
std::vector<std::string> find_plugins(const std::vector<std::string>& directories, Config& config);

// What the WSGI plugin is told of a route whose `plugin` it is: the app, and settings that concern Python alone, but for
// those that the route's own options hold.
Options python_options(const Config& config, const Route& route);

// The virtual environment that has `program`, as it was called, in its bin folder beside `python`; empty: none does.
// Not where a link leads to: venv/bin/narwhal may be one, as venv/bin/python is. A name without a slash is looked for
// in PATH; a relative path counts from `directory`.
std::string venv_of_program(const std::string& program, const std::string& path, const std::string& directory);

}  // namespace narwhal::server
