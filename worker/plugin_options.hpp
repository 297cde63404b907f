// The options of a plugin: what is set is checked against the plugin's list, and the plugin is given it in one form.
// Errors  a Result whose text begins with the place where the option is written, as other mistakes in settings do.
#pragma once

#include <string_view>

#include "core/config.hpp"
#include "core/result.hpp"
#include "narwhal/plugin.h"

namespace narwhal::worker {

// `type`: "string", "int", "float", "bool". A bool is what narwhal::parse_bool() reads: the words of YAML, 1 and 0.
bool is_of_type(std::string_view value, std::string_view type);
// Null: the plugin has no such option.
const narwhal_option* find_option(const narwhal_plugin& plugin, std::string_view key);
// Every option of `given` is in the plugin's list and is of its type, and none that is required is missing. `source`: the
// plugin, as the settings name it.
Result<Done> check_options(const narwhal_plugin& plugin, std::string_view source, const Options& given,
                           const OptionPlaces& places);
// What the plugin gets: the value or the option's fallback; a bool as "true" or "false", whichever word was written.
// Without either its data is null. It lives as long as `given` and the plugin.
narwhal_bytes option_value(const narwhal_plugin& plugin, const Options& given, std::string_view key) noexcept;

}  // namespace narwhal::worker
