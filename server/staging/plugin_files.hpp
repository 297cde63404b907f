// A plugin's file and the libraries that it brings along: those it needs and finds by $ORIGIN. A copy of the plugin
// in another folder would lose them, so they are copied with it.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "server/staging/elf.hpp"

namespace narwhal::server {

struct PluginFile {
  std::string path;              // absolute, without "..": where its copy goes below the digest
  std::string bytes;             // read once, from one descriptor
  std::set<std::string> passed;  // folders that the loader's path to it leads through, by their "..", on the way
};

// `path` is absolute. The plugin first, then what it needs, each file once. The error names the file and the step.
Result<std::vector<PluginFile>> read_plugin_files(const std::string& path);

// A regular file's bytes; an Error if it changed meanwhile.
Result<std::string> read_steady_file(const std::string& path);

}  // namespace narwhal::server
