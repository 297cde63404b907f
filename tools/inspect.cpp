#include "tools/inspect.hpp"

#include <cxxabi.h>
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/joined.hpp"
#include "narwhal/plugin.h"
#include "tools/plugin_file.hpp"
#include "tools/plugin_options.hpp"
#include "tools/process.hpp"

namespace narwhal::tools {

namespace {

std::string flag_names(std::uint32_t flags) {
  std::string names;
  if ((flags & NARWHAL_INLINE) != 0) names += "inline";
  if ((flags & NARWHAL_STREAM_BODY) != 0) names += names.empty() ? "streams bodies" : ", streams bodies";
  if (const std::uint32_t unknown = flags & ~(NARWHAL_INLINE | NARWHAL_STREAM_BODY); unknown != 0) {
    names += fmt::format("{}{:#x}, which ABI {}.{} does not have", names.empty() ? "" : ", ", unknown,
                         NARWHAL_ABI_MAJOR, NARWHAL_ABI_MINOR);
  }
  return names;
}

std::string abi_text(const DeclaredPlugin& plugin) {
  const std::string built = fmt::format("built for ABI {}.{}", NARWHAL_ABI_MAJOR, plugin.abi_minor);
  if (plugin.abi_minor <= NARWHAL_ABI_MINOR) return built;
  return fmt::format("{}; this narwhal has {}.{}: what came later is not there for it", built, NARWHAL_ABI_MAJOR,
                     NARWHAL_ABI_MINOR);
}

std::string option_text(const DeclaredOption& option) {
  std::string text = fmt::format("{} ({})", option.key, option.type);
  if (option.required) text += ", required";
  if (option.fallback) text += fmt::format(", default \"{}\"", *option.fallback);
  return option.help.empty() ? text : text + ": " + option.help;
}

std::string json_of(const DeclaredPlugin& plugin) {
  nlohmann::ordered_json options = nlohmann::ordered_json::array();
  for (const DeclaredOption& option : plugin.options) {
    nlohmann::ordered_json fallback;
    if (option.fallback) fallback = *option.fallback;
    options.push_back({{"key", option.key},
                       {"type", option.type},
                       {"default", fallback},
                       {"required", option.required},
                       {"help", option.help}});
  }
  const nlohmann::ordered_json whole{{"name", plugin.name},
                                     {"version", plugin.version},
                                     {"abi", fmt::format("{}.{}", NARWHAL_ABI_MAJOR, plugin.abi_minor)},
                                     {"inline", (plugin.flags & NARWHAL_INLINE) != 0},
                                     {"streams_bodies", (plugin.flags & NARWHAL_STREAM_BODY) != 0},
                                     {"hooks", plugin.hooks},
                                     {"options", options}};
  return whole.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string readable(const std::string& symbol) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status),
                                                         &std::free);
  return name != nullptr ? name.get() : symbol;
}

// What the loader would not find. ldd asks the loader itself; nothing of the plugin runs.
Result<std::vector<std::string>> missing_of(const std::string& file) {
  const std::string path = file.find('/') == file.npos ? "./" + file : file;
  const Result<Output> output = output_of({"ldd", "-r", path});
  if (!output) return Error{output.error()};
  std::vector<std::string> missing;
  std::istringstream lines(output->text);
  for (std::string line; std::getline(lines, line);) {
    const std::string_view symbol_mark = "undefined symbol: ", library_mark = " => not found";
    if (const std::size_t at = line.find(symbol_mark); at != line.npos) {
      const std::size_t begin = at + symbol_mark.size();
      missing.push_back("the function or variable " +
                        readable(line.substr(begin, line.find_first_of(" \t,", begin) - begin)));
    } else if (const std::size_t end = line.find(library_mark); end != line.npos) {
      const std::size_t begin = line.find_first_not_of(" \t");
      missing.push_back("the library " + line.substr(begin, end - begin));
    }
  }
  return missing;
}

}  // namespace

Result<int> inspect_plugin(const std::string& file, bool as_json) {
  const Result<DeclaredPlugin> plugin = read_plugin_file(file);
  if (!plugin) return Error{plugin.error()};
  if (as_json) {
    std::printf("%s\n", json_of(*plugin).c_str());
    return 0;
  }
  if (plugin->options.empty()) std::printf("%s has no options\n", plugin->name.c_str());
  for (const DeclaredOption& option : plugin->options) std::printf("%s\n", option_text(option).c_str());
  return 0;
}

Result<int> check_plugin(const Places& places, const std::string& file, const Pairs& options) {
  const Result<DeclaredPlugin> plugin = read_plugin_file(file);
  if (!plugin) return Error{plugin.error()};
  const Result<std::vector<std::string>> missing = missing_of(file);
  if (!missing) return Error{missing.error()};
  std::printf("%s: %s%s%s, %s\n", file.c_str(), plugin->name.c_str(), plugin->version.empty() ? "" : " ",
              plugin->version.c_str(), abi_text(*plugin).c_str());
  if (plugin->flags != 0) std::printf("flags: %s\n", flag_names(plugin->flags).c_str());
  std::printf("hooks: %s\n", joined(plugin->hooks, ", ").c_str());
  for (const DeclaredOption& option : plugin->options) std::printf("option: %s\n", option_text(option).c_str());
  for (const std::string& lack : *missing) std::printf("missing: %s\n", lack.c_str());
  if (!missing->empty()) return 1;

  Words words{places.server, "--check-config"};
  for (std::string& word : option_flags(options)) words.push_back(std::move(word));
  words.push_back(file.find('/') == file.npos ? "./" + file : file);
  std::fflush(stdout);
  const Result<int> status = run_program(words);
  if (!status) return Error{status.error()};
  std::printf("%s\n", *status == 0 ? "a worker boots with it" : "no worker boots with it");
  return *status == 0 ? 0 : 1;
}

}  // namespace narwhal::tools
