// Paths with '*', '?' and '[...]', and "**" for any number of folders, as in Gunicorn's reload_extra_files.
#pragma once

#include <string>
#include <vector>

namespace narwhal::server {

struct Expansion {
  std::vector<std::string> files;    // that match now, without folders
  std::vector<std::string> folders;  // in which a new entry may match
};

bool is_pattern(const std::string& path);
// `pattern` is absolute. A name that begins with '.' only matches a pattern that does. "**" does not follow links to
// folders. Folders that cannot be read are skipped.
Expansion expand_pattern(const std::string& pattern);

}  // namespace narwhal::server
