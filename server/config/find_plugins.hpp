// Installed plugins, found by name.
#pragma once

#include <string>
#include <vector>

#include "core/config.hpp"

namespace narwhal::server {

// Completes each route that does not name a file. The name of an installed plugin becomes its path, NAME.so or
// NAME/NAME.so in the first of `directories` that has it. A Python application gets the WSGI plugin as its `plugin`; a
// plain name that is not a plugin's is a Python module. Returns the faults: "app: 'web:app' is a Python
// application, but ...".
std::vector<std::string> find_plugins(const std::vector<std::string>& directories, Config& config);

}  // namespace narwhal::server
