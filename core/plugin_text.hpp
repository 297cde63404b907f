// What several programs say of what is not a plugin, and of what a plugin does not know.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/joined.hpp"
#include "core/nearest_name.hpp"

namespace narwhal {

// Of a file that exports no table of any version.
inline constexpr const char* no_plugin_text =
    "no symbol narwhal_plugin_v1: is this a narwhal plugin? In C its table needs NARWHAL_EXPORT, or "
    "-fvisibility=hidden hides it; in C++ NARWHAL_APP makes the table";

// Of an `app` with neither a slash nor a colon, when it fails: an addition to the reason.
inline std::string taken_for_python_text(const std::string& app) {
  return " (no plugin is called '" + app +
         "': it was taken for a Python module; write a plugin with its path, as in ./" + app + ".so)";
}

// Of an option that is not among those that a plugin declares.
inline std::string unknown_option_text(std::string_view key, std::span<const std::string_view> known) {
  const std::string start = "unknown option '" + std::string(key) + "': ";
  if (known.empty()) return start + "it has none";
  const std::string_view near = nearest_name(key, known);
  if (!near.empty()) return start + "did you mean '" + std::string(near) + "'?";
  return start + "it knows " + joined(known, ", ");
}

}  // namespace narwhal
