// narwhal-plugin inspect and check: what a plugin's file says of itself, and whether a worker boots with it.
// Errors  a Result; its value is the exit status.
#pragma once

#include <string>

#include "core/result.hpp"
#include "tools/call.hpp"
#include "tools/places.hpp"

namespace narwhal::tools {

// Prints its options. Nothing of the plugin runs.
Result<int> inspect_plugin(const std::string& file, bool as_json);

// Prints all that its file says and the libraries and symbols that it lacks; then boots a worker of it in a process of its own,
// as the server's --check-config does.
Result<int> check_plugin(const Places& places, const std::string& file, const Pairs& options);

}  // namespace narwhal::tools
