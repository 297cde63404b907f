// Abbreviated flags, as Gunicorn's argparse has them: "--worker-cl" is --worker-class, "--work" is ambiguous.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace narwhal::server {

struct FlagName {
  std::string_view flag;   // "--workers" or "-w"
  bool needs_value;        // the next word is its value
  std::string_view owner;  // the setting's name; of aliases the same
};
// All flags of narwhal, and those of Gunicorn that it knows.
std::vector<FlagName> known_flags();

// The words with each unambiguous beginning of a long flag replaced by that flag. A message for each ambiguous one.
std::vector<std::string> expand_abbreviations(std::vector<std::string> words, std::vector<std::string>& ambiguous);

}  // namespace narwhal::server
