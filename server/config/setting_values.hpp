// One value of one setting: text to Config, and back.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.hpp"
#include "server/config/settings.hpp"

namespace narwhal::server {

// Sets the value, or appends it if the setting is a list. Returns what is wrong with the text, such as
// "'four' is not a whole number"; the Config is then unchanged.
std::optional<std::string> set_value(const Setting& setting, std::string_view text, Config& config);
// Called before the first value of a source that sets this list, because sources replace each other's lists.
void clear_list(const Setting& setting, Config& config);
// The texts from which set_value() makes the same value: one, or one for each item of a list.
std::vector<std::string> value_texts(const Setting& setting, const Config& config);
// The words that the setting takes, separated by blanks; empty: it does not take words.
std::string value_words(const Setting& setting);
bool same_value(const Setting& setting, const Config& left, const Config& right);

}  // namespace narwhal::server
