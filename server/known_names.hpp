// What to say to a name that is no setting: one of Gunicorn's that is not here, a typing error, or neither.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace narwhal::server {

// For a key of narwhal.yaml: "unknown key 'worker': did you mean 'workers'?"
std::string unknown_key_text(std::string_view key);
// For a flag of the command line, with its dashes: "'--max-requests' is Gunicorn's; ..."
std::string unknown_flag_text(std::string_view flag);
// Gunicorn's settings and hooks that are no settings of ours.
std::vector<std::string_view> absent_names();

}  // namespace narwhal::server
