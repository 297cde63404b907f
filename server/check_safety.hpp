// What is unsafe about who runs the server and who can change what it runs. Warnings: the server starts all the same.
#pragma once

#include <string>
#include <vector>

#include "core/config.hpp"

namespace narwhal::server {

// One line for each, which names the file and the way out.
std::vector<std::string> safety_notices(const Config& config);

}  // namespace narwhal::server
