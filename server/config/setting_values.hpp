// One value of one setting: text to Config, and back.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.hpp"
#include "server/config/settings.hpp"

namespace narwhal::server {

// Sets the value, or appends it when the setting is a list. Returns what is wrong with the text, as in
// "'four' is not a whole number"; the Config is then unchanged.
std::optional<std::string> set_value(const Setting& setting, std::string_view text, Config& config);
// Before the first value of a source that speaks of this list: sources replace each other's lists.
void clear_list(const Setting& setting, Config& config);
// The texts that set_value() would make the same value from: one, or as many as the list has.
std::vector<std::string> value_texts(const Setting& setting, const Config& config);
bool same_value(const Setting& setting, const Config& left, const Config& right);

}  // namespace narwhal::server
