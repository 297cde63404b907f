// The options of the plugin; narwhal-static(7) describes them.
// Errors     read_settings() throws std::runtime_error or std::invalid_argument, which name the option and what to do.
// Threads    a value without shared state.
#pragma once

#include <narwhal/boot.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/static/target.hpp"

namespace narwhal::static_files {

struct Settings {
  std::string folder;
  std::vector<std::string> index;
  bool listing = false;
  Hidden hidden = Hidden::refused;
  bool precompressed = false;
  std::string cache_control;                               // empty: no field
  std::vector<std::pair<std::string, std::string>> types;  // by ending, without the dot
  std::string fallback, not_found;                         // below the folder; empty: none

  // The media type of a file of this name.
  std::string_view type_of(std::string_view name) const noexcept;
};

Settings read_settings(const Boot& boot);

}  // namespace narwhal::static_files
