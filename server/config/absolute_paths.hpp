// Makes every path in a Config absolute.
#pragma once

#include <string>
#include <vector>

#include "core/config.hpp"

namespace narwhal::server {

// `chdir` counts from `start_directory`; all else from `chdir`, if set. What remains relative is meant so: the name
// of an installed plugin, "-", "". Returns what cannot be: "bind: '...' is too long for a Unix socket".
std::vector<std::string> make_paths_absolute(const std::string& start_directory, Config& config);

// `path` as seen from `directory`.
std::string absolute_path(const std::string& directory, const std::string& path);

}  // namespace narwhal::server
