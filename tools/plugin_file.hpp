// What a plugin's file says of itself, read without loading it: none of its code runs, and it may need libraries that are
// not here. What a constructor of the plugin changes is not seen.
// Errors  a Result that names the file and what it lacks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace narwhal::tools {

struct DeclaredOption {
  std::string key, type, help;
  std::optional<std::string> fallback;
  bool required = false;
};

struct DeclaredPlugin {
  std::uint32_t abi_minor = 0, flags = 0;
  std::string name, version;
  std::vector<DeclaredOption> options;
  std::vector<std::string> hooks;  // the functions that its table has, in the order of plugin.h
};

Result<DeclaredPlugin> read_plugin_file(const std::string& path);
// The same of the file's bytes; an Error does not name it.
Result<DeclaredPlugin> read_plugin(std::string_view file);

}  // namespace narwhal::tools
