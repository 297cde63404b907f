// Completion of narwhal's flags in a shell, made from the table of settings.
#pragma once

#include <string>
#include <string_view>

namespace narwhal::server {

// `shell`: "bash", "zsh" or "fish". Empty for any other.
std::string completion_text(std::string_view shell);

}  // namespace narwhal::server
