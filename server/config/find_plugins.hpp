// Installed plugins, found by name.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/config.hpp"

namespace narwhal::server {

struct PluginPlaces {
  std::vector<std::string> directories;          // searched in this order
  std::map<std::string, std::string> variables;  // the environment, in which an interpreter is looked for
};

// Completes each route that does not name a file. The name of an installed plugin becomes its path, NAME.so or
// NAME/NAME.so in the first of the directories that has it. A plain name that is not a plugin's is a Python module. A
// Python application gets the WSGI plugin for the version of its interpreter as its `plugin`; the interpreter becomes
// `config.python`. Returns the faults: "app: 'web:app' is a Python application, but ...".
std::vector<std::string> find_plugins(const PluginPlaces& places, Config& config);

}  // namespace narwhal::server
