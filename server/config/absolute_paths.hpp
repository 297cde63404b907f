// Makes every path in a Config absolute.
#pragma once

#include <string>
#include <vector>

#include "core/config.hpp"

namespace narwhal::server {

// `chdir` is relative to `start_directory`; all other paths to `chdir`, if set. What stays relative is not a path: the
// name of an installed plugin, "-", "". Returns the faults: "bind: '...' is too long for a Unix socket: ...".
std::vector<std::string> make_paths_absolute(const std::string& start_directory, Config& config);

// `path` as seen from `directory`.
std::string absolute_path(const std::string& directory, const std::string& path);

}  // namespace narwhal::server
