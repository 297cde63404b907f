// Which file a config's `app` means.
#pragma once

#include <string>
#include <vector>

#include "core/result.hpp"

namespace narwhal::server {

// Where installed plugins are: plugins/ and examples/ beside the executable, lib/narwhal/plugins/ of its prefix.
std::vector<std::string> installed_plugin_folders();

// `source` with a slash or ending in ".so" is a path; anything else is the name of an installed plugin, NAME.so or
// NAME/NAME.so in one of `folders`. The result is absolute; its folder has no symbolic link in it, while the file's
// own name stays: $ORIGIN counts from where the plugin was found, not from where a link points.
Result<std::string> find_plugin(const std::string& source, const std::vector<std::string>& folders);

}  // namespace narwhal::server
