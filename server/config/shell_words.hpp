// A line of text to words, as a shell has them: white space parts, '...' and "..." and \ keep together. Nothing is
// expanded.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace narwhal::server {

Result<std::vector<std::string>> split_shell_words(std::string_view line);

}  // namespace narwhal::server
