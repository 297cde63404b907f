// A plugin's file and the libraries that it brings with it: those it needs and finds by $ORIGIN. A copy of the plugin
// in another folder would not find them, so they are copied too.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "server/staging/elf.hpp"

namespace narwhal::server {

struct PluginFile {
  std::string path;              // absolute, without "..": the place of its copy below the digest
  std::string bytes;             // read once, from one descriptor
  std::set<std::string> passed;  // folders that the loader's path to it passes through with ".."
};

enum class Kind { plugin, library };  // a library has no function of the ABI

// `path` is absolute. The plugin first, then what it needs, each file once. The error names the file and the step.
Result<std::vector<PluginFile>> read_plugin_files(const std::string& path, Kind kind);

// A regular file's bytes; an Error if it changed while it was being read.
Result<std::string> read_steady_file(const std::string& path);

}  // namespace narwhal::server
