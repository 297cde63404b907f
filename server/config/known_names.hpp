// What to say to a name that is no setting: one of Gunicorn's that is not here, a typing error, or neither.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace narwhal::server {

// For a key of narwhal.yaml: "unknown key 'worker': did you mean 'workers'?"
std::string unknown_key_text(std::string_view key);
// True when asking for `value` changes nothing: narwhal does it, or does without it, anyway. `name`: a setting of Gunicorn's.
bool is_moot(std::string_view name, std::string_view value);
// Flags of Gunicorn's that are taken where their value is moot, so that its command lines can stay as they are.
struct MootFlag {
  std::string_view flags;  // "-k,--worker-class"
  std::string_view name;
};
std::vector<MootFlag> moot_flags();
// What to say to another value; empty: it is moot.
std::string moot_flag_fault(const MootFlag& flag, std::string_view value);
// For a flag of the command line, with its dashes: "'--max-requests' is Gunicorn's; ..."
std::string unknown_flag_text(std::string_view flag);
// Gunicorn's settings and hooks that are no settings of ours.
std::vector<std::string_view> absent_names();

}  // namespace narwhal::server
