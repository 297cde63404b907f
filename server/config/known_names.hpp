// Messages for a name that is not a setting: one of Gunicorn's that narwhal does not have, a typing error, or neither.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace narwhal::server {

// For a key of narwhal.yaml: "unknown key 'worker': did you mean 'workers'?"
std::string unknown_key_text(std::string_view key);
// True if asking for `value` changes nothing, because narwhal behaves like that anyway. `name`: a setting of Gunicorn.
bool is_moot(std::string_view name, std::string_view value);
// Flags of Gunicorn that are accepted if their value changes nothing, so that its command lines need no edit.
struct MootFlag {
  std::string_view flags;  // "-k,--worker-class"
  std::string_view name;
};
std::vector<MootFlag> moot_flags();
// The message for any other value; empty: it is moot.
std::string moot_flag_fault(const MootFlag& flag, std::string_view value);
// For a flag of the command line, with its dashes: "'--max-requests' is a setting of Gunicorn that ..."
std::string unknown_flag_text(std::string_view flag);
// Gunicorn's settings and hooks that are not settings of narwhal.
std::vector<std::string_view> absent_names();

}  // namespace narwhal::server
