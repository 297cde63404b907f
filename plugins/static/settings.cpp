#include "plugins/static/settings.hpp"

#include <narwhal/mime.hpp>

#include <algorithm>
#include <stdexcept>

#include "plugins/static/lists.hpp"

namespace narwhal::static_files {
namespace {

[[noreturn]] void refuse(const char* key, std::string_view value, const char* why) {
  throw std::invalid_argument(std::string("option '") + key + "': '" + std::string(value) + "' " + why);
}

// The value of a field, all of it visible or a space: else no answer could be sent.
void check_field_value(const char* key, std::string_view value) {
  const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; };
  if (std::any_of(value.begin(), value.end(), is_control)) refuse(key, value, "has a control character in it");
}

std::vector<std::string> read_index(std::string_view list) {
  std::vector<std::string> names;
  for_each_in_list(list, [&](std::string_view name) {
    if (!is_served_name(name, false, Hidden::served))
      refuse("index", name, "is not the name of a file: give names alone");
    names.emplace_back(name);
  });
  return names;
}

std::vector<std::pair<std::string, std::string>> read_types(std::string_view list) {
  std::vector<std::pair<std::string, std::string>> types;
  check_field_value("types", list);
  for_each_in_list(list, [&](std::string_view element) {
    const std::size_t equals = element.find('=');
    const std::string_view type = equals == element.npos ? "" : trim(element.substr(equals + 1));
    std::string_view ending = trim(element.substr(0, equals));
    if (ending.starts_with('.')) ending.remove_prefix(1);
    const std::size_t slash = type.find('/');
    const bool known = slash != 0 && slash != type.npos && slash + 1 < type.size();
    if (!known || ending.empty()) refuse("types", element, "is not ENDING=TYPE: write it as in glb=model/gltf-binary");
    types.emplace_back(ending, type);
  });
  return types;
}

std::string read_cache_control(const Boot& boot) {
  std::string text = boot.get("cache_control", "");
  check_field_value("cache_control", text);
  const auto seconds = boot.get<long>("max_age", -1);
  if (seconds < -1) refuse("max_age", std::to_string(seconds), "is below 0: give a number of seconds");
  if (seconds < 0) return text;
  if (!text.empty()) throw std::invalid_argument("options 'max_age' and 'cache_control': give one of them");
  return "max-age=" + std::to_string(seconds);
}

// A file below the folder, with or without a slash in front.
std::string read_file(const Boot& boot, const char* key) {
  const std::string text = boot.get(key, "");
  if (text.empty()) return text;
  std::string below = text.substr(text.starts_with('/') ? 1 : 0);
  for (std::string_view rest = below; !rest.empty();) {
    const std::string_view segment = rest.substr(0, rest.find('/'));
    rest.remove_prefix(segment.size() < rest.size() ? segment.size() + 1 : rest.size());
    if (!is_served_name(segment, false, Hidden::served)) refuse(key, text, "is not the path of a file in the folder");
  }
  return below;
}

}  // namespace

std::string_view Settings::type_of(std::string_view name) const noexcept {
  const std::string_view last = name.substr(name.rfind('/') + 1);
  const std::size_t dot = last.rfind('.');
  if (!types.empty() && dot != last.npos) {
    for (const auto& [ending, type] : types) {
      if (equal_ignoring_case(ending, last.substr(dot + 1))) return type;
    }
  }
  return mime_type(last);
}

Settings read_settings(const Boot& boot) {
  Settings settings;
  settings.folder = boot.get<std::string>("folder");
  if (settings.folder.empty()) throw std::invalid_argument("option 'folder' is empty: name the folder to serve");
  settings.index = read_index(boot.get("index", ""));
  settings.listing = boot.get("listing", false);
  settings.hidden = boot.get("hidden", false) ? Hidden::served : Hidden::refused;
  settings.precompressed = boot.get("precompressed", false);
  settings.cache_control = read_cache_control(boot);
  settings.types = read_types(boot.get("types", ""));
  settings.fallback = read_file(boot, "fallback");
  settings.not_found = read_file(boot, "not_found");
  return settings;
}

}  // namespace narwhal::static_files
