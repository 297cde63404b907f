// A temporary folder in which a test starts narwhal: the command line, environment and files of one load_config().
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "server/config/load_config.hpp"
#include "tests/support/folder.hpp"

namespace narwhal::server {

class StartFolder {
 public:
  StartFolder() {
    environment.start_directory = folder_.path();
    environment.version = "1.2.3";
  }

  std::string path(const std::string& name) const { return folder_.path(name); }
  // Returns the file's path.
  std::string write(const std::string& name, const std::string& text) const { return folder_.write(name, text); }
  LoadResult load(std::vector<std::string> words) const {
    std::vector<const char*> argv{"narwhal"};
    for (const std::string& word : words) argv.push_back(word.c_str());
    return load_config(static_cast<int>(argv.size()), argv.data(), environment);
  }
  LoadedConfig good(const std::vector<std::string>& words) const {
    LoadResult loaded = load(words);
    if (!loaded) FAIL(loaded.error());
    return *std::move(loaded);
  }

  Environment environment;

 private:
  Folder folder_;
};

// Where the setting's value comes from; "none" for a default.
inline std::string origin(const LoadedConfig& loaded, const std::string& key) {
  for (const Origin& each : loaded.origins) {
    if (each.key == key) return each.from;
  }
  return "none";
}

}  // namespace narwhal::server
