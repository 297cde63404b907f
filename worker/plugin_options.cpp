#include "worker/plugin_options.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "core/plugin_text.hpp"
#include "narwhal/text.hpp"

namespace narwhal::worker {

namespace {

template <class Number>
bool is_number(std::string_view text) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end;
}

std::vector<std::string_view> names_of(const narwhal_plugin& plugin) {
  std::vector<std::string_view> names;
  for (const narwhal_option* each = plugin.options; each != nullptr && each->key != nullptr; ++each)
    names.emplace_back(each->key);
  return names;
}

const std::string* find_text(const Options& options, std::string_view key) noexcept {
  const auto found = std::find_if(options.begin(), options.end(), [&](const auto& each) { return each.first == key; });
  return found == options.end() ? nullptr : &found->second;
}

std::string missing_text(const narwhal_option& option) {
  const bool has_help = option.help != nullptr && *option.help != '\0';
  return std::string("'") + option.key + "' is missing" + (has_help ? std::string(": ") + option.help : "") +
         " (set it in the application's 'options', or at \"/\" by --option " + option.key + "=VALUE)";
}

// What a value of this type looks like.
const char* form_of(std::string_view type) {
  if (type == "int") return "a whole number";
  return type == "bool" ? "true or false" : "a number, such as 0.5";
}

}  // namespace

bool is_of_type(std::string_view value, std::string_view type) {
  if (type == "int") return is_number<std::int64_t>(value);
  if (type == "float") return is_number<double>(value);
  return type != "bool" || parse_bool(value).has_value();
}

const narwhal_option* find_option(const narwhal_plugin& plugin, std::string_view key) {
  for (const narwhal_option* each = plugin.options; each != nullptr && each->key != nullptr; ++each) {
    if (key == each->key) return each;
  }
  return nullptr;
}

Result<Done> check_options(const narwhal_plugin& plugin, std::string_view source, const Options& given,
                           const OptionPlaces& places) {
  const auto fault = [&](const std::string& place, const std::string& reason) {
    return Error{(place.empty() ? "" : place + ": ") + "options of " + std::string(source) + ": " + reason};
  };
  for (const auto& [key, value] : given) {
    const std::string* const written = find_text(places.each, key);
    const std::string place = written == nullptr ? "" : *written;
    const narwhal_option* const option = find_option(plugin, key);
    if (option == nullptr) return fault(place, unknown_option_text(key, names_of(plugin)));
    if (is_of_type(value, option->type)) continue;
    return fault(place, key + ": '" + value + "' is not of type " + option->type + ": " + form_of(option->type));
  }
  for (const narwhal_option* each = plugin.options; each != nullptr && each->key != nullptr; ++each) {
    if ((each->flags & NARWHAL_REQUIRED) == 0 || find_text(given, each->key) != nullptr) continue;
    const std::string* const emptied = find_text(places.each, each->key);  // by --option KEY=
    return fault(emptied != nullptr ? *emptied : places.all, missing_text(*each));
  }
  return Done{};
}

narwhal_bytes option_value(const narwhal_plugin& plugin, const Options& given, std::string_view key) noexcept {
  const std::string* const set = find_text(given, key);
  const narwhal_option* const option = find_option(plugin, key);
  const char* const fallback = option == nullptr ? nullptr : option->fallback;
  if (set == nullptr && fallback == nullptr) return {nullptr, 0};
  const std::string_view text = set == nullptr ? std::string_view(fallback) : std::string_view(*set);
  if (option != nullptr && std::string_view(option->type) == "bool") {
    if (const auto is_on = parse_bool(text)) return bytes_of(*is_on ? "true" : "false");
  }
  return bytes_of(text);
}

}  // namespace narwhal::worker
