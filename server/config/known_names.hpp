// Messages for a name that neither narwhal nor Gunicorn knows: a typing error, or nothing of ours.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace narwhal::server {

// For a key of narwhal.yaml: "unknown key 'worker': did you mean 'workers'?"
std::string unknown_key_text(std::string_view key);
// For a flag of the command line, with its dashes: "unknown flag '--wrokers': did you mean '--workers'?"
std::string unknown_flag_text(std::string_view flag);

}  // namespace narwhal::server
