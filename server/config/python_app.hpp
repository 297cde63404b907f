// Python applications: which plugin runs them, and what it is told.
#pragma once

#include <string>

#include "core/config.hpp"

namespace narwhal::server {

// What the WSGI plugin is told of a route whose `plugin` it is: the app, and settings that concern Python alone, but for
// those that the route's own options hold.
Options python_options(const Config& config, const Route& route);

// The virtual environment that has `program`, as it was called, in its bin folder beside `python`; empty: none does.
// Not where a link leads to: venv/bin/narwhal may be one, as venv/bin/python is. A name without a slash is looked for
// in PATH; a relative path counts from `directory`.
std::string venv_of_program(const std::string& program, const std::string& path, const std::string& directory);

}  // namespace narwhal::server
