// Installed plugins, found by name.
#pragma once

#include <string>
#include <vector>

#include "core/config.hpp"

namespace narwhal::server {

// For each route that names no file: an installed plugin's path in place of its name, NAME.so or NAME/NAME.so in the
// first of `directories` that has it; and to a Python app the WSGI plugin as its `plugin`. A plain name that is no
// plugin's is a Python module's. Returns what cannot be: "app: 'web:app' is a Python application, and ...".
std::vector<std::string> find_plugins(const std::vector<std::string>& directories, Config& config);

}  // namespace narwhal::server
