// What several programs say of what is not a plugin.
#pragma once

#include <string>

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

}  // namespace narwhal
