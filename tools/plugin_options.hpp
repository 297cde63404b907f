// The options of a plugin as its settings give them: found by the server, in narwhal.yaml and wherever else it looks, so that
// one plugin has the same options in `check`, `call` and under the server.
// Errors  a Result; with mistakes in the settings it has the server's messages.
#pragma once

#include <string>
#include <vector>

#include "core/result.hpp"
#include "tools/call.hpp"
#include "tools/places.hpp"
#include "tools/plugin_file.hpp"

namespace narwhal::tools {

// Those of the application at "/", with `given` in the place of those of the same names. No plugin runs.
Result<Pairs> options_of_settings(const Places& places, const Pairs& given);
// The same from what `narwhal --print-config` writes.
Pairs printed_options(const std::string& printed);

// An Error names the first option that the plugin does not know, or that it requires and `options` lack, and the way out.
Result<Done> check_names(const DeclaredPlugin& plugin, const std::string& file, const Pairs& options);

// "--option", "key=value" for each.
std::vector<std::string> option_flags(const Pairs& options);

}  // namespace narwhal::tools
