#include "tools/plugin_options.hpp"

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <string_view>

#include "core/plugin_text.hpp"
#include "tools/process.hpp"

namespace narwhal::tools {

namespace {

// Takes a value from the front of `text`: a plain word, or a text in double quotes with \", \\ and \x0a.
std::string take_value(std::string_view& text) {
  std::string value;
  if (!text.starts_with('"')) {
    const std::size_t size = std::min(text.find_first_of(": "), text.size());
    value = text.substr(0, size);
    text.remove_prefix(size);
    return value;
  }
  text.remove_prefix(1);
  while (!text.empty() && text.front() != '"') {
    const bool is_number = text.starts_with("\\x") && text.size() >= 4;
    if (is_number) {
      value += static_cast<char>(std::strtol(std::string(text.substr(2, 2)).c_str(), nullptr, 16));
    } else {
      value += text[text.front() == '\\' && text.size() > 1 ? 1 : 0];
    }
    text.remove_prefix(std::min(text.size(), is_number ? std::size_t{4} : text.front() == '\\' ? 2 : 1));
  }
  text.remove_prefix(std::min<std::size_t>(text.size(), 1));
  return value;
}

// What the server writes before each line of its own.
std::string without_names(const std::string& text) {
  std::istringstream lines(text);
  std::string plain;
  for (std::string line; std::getline(lines, line);)
    plain += (plain.empty() ? "" : "\n") + (line.starts_with("narwhal: ") ? line.substr(9) : line);
  return plain;
}

}  // namespace

Pairs printed_options(const std::string& printed) {
  Pairs options;
  bool is_root = false;
  std::size_t indent = 0;  // of each option; 0: not among them
  std::istringstream lines(printed);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t blanks = std::min(line.find_first_not_of(' '), line.size());
    std::string_view rest = std::string_view(line).substr(blanks);
    if (indent != 0 && blanks == indent) {
      std::string key = take_value(rest);
      rest.remove_prefix(std::min<std::size_t>(rest.size(), 2));  // ": "
      options.emplace_back(std::move(key), take_value(rest));
      continue;
    }
    indent = 0;
    if (line.starts_with("app: ")) is_root = true;
    if (line.starts_with("  - prefix: ")) is_root = rest == "- prefix: /";
    if (rest == "host:") is_root = false;
    if (rest == "options:" && is_root) indent = blanks + 2;
  }
  return options;
}

Result<Done> check_names(const DeclaredPlugin& plugin, const std::string& file, const Pairs& options) {
  std::vector<std::string_view> known;
  for (const DeclaredOption& each : plugin.options) known.emplace_back(each.key);
  for (const auto& option : options) {
    if (std::find(known.begin(), known.end(), option.first) != known.end()) continue;
    return Error{"options of " + file + ": " + unknown_option_text(option.first, known)};
  }
  for (const DeclaredOption& each : plugin.options) {
    const auto is_it = [&](const auto& given) { return given.first == each.key; };
    if (!each.required || std::any_of(options.begin(), options.end(), is_it)) continue;
    return Error{"options of " + file + ": '" + each.key + "' is missing" +
                 (each.help.empty() ? "" : ": " + each.help) + " (set it under 'options' in narwhal.yaml, or by -o " +
                 each.key + "=VALUE)"};
  }
  return Done{};
}

std::vector<std::string> option_flags(const Pairs& options) {
  std::vector<std::string> words;
  for (const auto& [key, value] : options) {
    words.emplace_back("--option");
    words.push_back(key + "=" + value);
  }
  return words;
}

Result<Pairs> options_of_settings(const Places& places, const Pairs& given) {
  // The server prints its settings, and then checks their plugins. Of one that is not there it runs nothing, nor of others.
  Words words{places.server, "--print-config"};
  for (std::string& word : option_flags(given)) words.push_back(std::move(word));
  words.emplace_back("/dev/null/none.so");
  const Result<Output> output = output_of(words);
  if (!output) return Error{output.error()};
  const std::string& text = output->text;
  const bool has_settings = text.starts_with("app: ") || text.find("\napp: ") != text.npos;
  if (!has_settings) return Error{without_names(text)};
  return printed_options(text);
}

}  // namespace narwhal::tools
