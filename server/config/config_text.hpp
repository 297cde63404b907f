// What --help and --print-config print.
#pragma once

#include <string>
#include <vector>

#include "core/config.hpp"
#include "server/config/load_config.hpp"

namespace narwhal::server {

// Grouped, one line for each setting, at most 100 columns.
std::string help_text();
// A narwhal.yaml that makes this Config, with the origin of each value as a comment.
std::string print_text(const Config& config, const std::vector<Origin>& origins);

}  // namespace narwhal::server
