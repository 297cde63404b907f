#include "server/config_text.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "server/setting_values.hpp"
#include "server/settings.hpp"

namespace narwhal::server {
namespace {

constexpr std::size_t kFlagsWidth = 34;
constexpr std::size_t kDefaultBytesMax = 20;
constexpr std::size_t kOriginColumn = 50;

constexpr const char* kUsage = R"(Usage: narwhal [OPTION]... [APP]

Serve APP through forked workers. APP is the path of a plugin (.so) or the name of an installed one.

Examples:
  narwhal ./hello.so                            on http://127.0.0.1:8000, one worker
  narwhal -w 4 -b 0.0.0.0:80 -b unix:/run/hello.sock ./hello.so
  narwhal -c /etc/narwhal.yaml --check-config   is all well? exit 0 if so
)";

constexpr const char* kOwnFlags = R"(
The program
  -c, --config FILE                 settings from this file [./narwhal.yaml, if it is there]
      --check-config                read the settings, load the plugins, say what is wrong, leave
      --print-config                print every setting, its value and where it comes from, leave
  -v, --version                     print the version, leave
  -h, --help                        print this, leave
)";

constexpr const char* kClosing = R"(
A flag wins over NARWHAL_CMD_ARGS, that over narwhal.yaml, that over the default. A switch is turned off with
--flag=false. Sizes may end in K, M or G. See narwhal(1) and narwhal.yaml(5).
)";

// "  -w, --workers INT": the short flag, if any, and the main long one.
std::string flags_text(const Setting& setting) {
  const bool has_short = !setting.flags.starts_with("--");
  const std::string start = has_short ? std::string(setting.flags.substr(0, 2)) + ", " : "    ";
  const std::string metavar = setting.metavar.empty() ? "" : " " + std::string(setting.metavar);
  return "  " + start + std::string(long_flag(setting)) + metavar;
}

// "[30 seconds]", "[off]", "[none]".
std::string default_text(const Setting& setting) {
  static const Config defaults;
  const std::vector<std::string> texts = value_texts(setting, defaults);
  if (setting.is_switch()) return texts[0] == "true" ? "[on]" : "[off]";
  if (texts.empty() || texts[0].empty()) return "[none]";
  if (texts[0].size() > kDefaultBytesMax) return "[Gunicorn's]";
  return "[" + texts[0] + (setting.unit.empty() ? "" : " " + std::string(setting.unit)) + "]";
}

bool is_plain_word(const std::string& text) {
  const bool letters = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '.' ||
           c == '_' || c == '-';
  });
  static constexpr std::string_view other[] = {"null", "Null", "NULL", "-", "--", "---", "..."};
  return letters && !text.empty() && std::find(std::begin(other), std::end(other), text) == std::end(other) &&
         text.front() != '-';
}

// Plain where YAML reads it back as the same text, else in double quotes.
std::string quoted(const std::string& text) {
  if (is_plain_word(text)) return text;
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      result += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    } else {
      result += c;
    }
  }
  return result + "\"";
}

std::string with_origin(const std::string& line, const std::string& origin) {
  return fmt::format("{:<{}}  # {}\n", line, kOriginColumn, origin);
}

void print_options(const Options& options, const std::string& indent, std::string& out) {
  if (options.empty()) return;
  out += indent + "options:\n";
  for (const auto& [key, value] : options) out += indent + "  " + quoted(key) + ": " + quoted(value) + "\n";
}

std::string origin_of(const std::vector<Origin>& origins, std::string_view key) {
  const auto found = std::find_if(origins.begin(), origins.end(),
                                  [key](const Origin& origin) { return origin.key == key; });
  return found == origins.end() ? "default" : found->from;
}

void print_routes(const Config& config, const std::vector<Origin>& origins, std::string& out) {
  bool list_begun = false;
  for (const Route& route : config.routes) {
    if (route.prefix.empty()) {
      continue;
    }
    if (!std::exchange(list_begun, true)) out += with_origin("routes:", origin_of(origins, "routes"));
    out += "  - prefix: " + quoted(route.prefix) + "\n    app: " + quoted(route.app) + "\n";
    print_options(route.options, "    ", out);
  }
  for (const Route& route : config.routes) {
    if (!route.prefix.empty()) continue;
    out += with_origin("app: " + quoted(route.app), origin_of(origins, "app"));
    print_options(route.options, "", out);
  }
}

void print_setting(const Setting& setting, const Config& config, const std::string& origin, std::string& out) {
  const std::string name(setting.name);
  const std::vector<std::string> texts = value_texts(setting, config);
  if (!setting.is_list()) {
    const bool bare = setting.metavar == "INT" || setting.metavar == "MODE" || setting.is_switch();
    out += with_origin(name + ": " + (bare ? texts[0] : quoted(texts[0])), origin);
    return;
  }
  out += with_origin(name + (texts.empty() ? ": []" : ":"), origin);
  for (const std::string& text : texts) out += "  - " + quoted(text) + "\n";
}

}  // namespace

std::string help_text() {
  std::string text = kUsage;
  text += kOwnFlags;
  std::optional<Group> group;
  for (const Setting& setting : settings()) {
    if (std::exchange(group, setting.group) != setting.group) text += fmt::format("\n{}\n", group_title(setting.group));
    text += fmt::format("{:<{}}  {} {}\n", flags_text(setting), kFlagsWidth - 2, setting.help, default_text(setting));
  }
  return text + kClosing;
}

std::string print_text(const Config& config, const std::vector<Origin>& origins) {
  std::string text;
  print_routes(config, origins, text);
  for (const Setting& setting : settings()) {
    print_setting(setting, config, origin_of(origins, setting.name), text);
  }
  return text;
}

}  // namespace narwhal::server
