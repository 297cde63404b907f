// Paths with '*', '?' and '[...]' in them, and "**" for any number of folders: what Gunicorn takes for extra files.
#pragma once

#include <string>
#include <vector>

namespace narwhal::server {

struct Expansion {
  std::vector<std::string> files;    // what fits now, folders aside
  std::vector<std::string> folders;  // those in which a new entry may fit, too
};

bool is_pattern(const std::string& path);
// `pattern` is absolute. A name that begins with '.' is only found by a pattern that does. Links to folders are not
// followed by "**". Of what cannot be read nothing is found.
Expansion expand_pattern(const std::string& pattern);

}  // namespace narwhal::server
