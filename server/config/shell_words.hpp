// Splits a line into words as a shell does: at white space, with '...', "..." and \ to quote. Nothing is expanded.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace narwhal::server {

Result<std::vector<std::string>> split_shell_words(std::string_view line);

}  // namespace narwhal::server
