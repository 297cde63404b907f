#include "server/config/config_text.hpp"

#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "server/config/program_flags.hpp"
#include "server/config/routes.hpp"
#include "server/config/setting_values.hpp"
#include "server/config/settings.hpp"

namespace narwhal::server {
namespace {

constexpr std::size_t default_bytes_max = 24;
constexpr std::size_t origin_column = 50;

constexpr const char* usage = R"(Usage: narwhal [OPTION]... [APP]

Serve APP with forked worker processes. APP is the path of a plugin (.so), the name of an installed
plugin, or a Python application (module:callable).

Examples:
  narwhal ./hello.so                            one worker at http://127.0.0.1:8000
  narwhal -w 4 -b 0.0.0.0:80 -b unix:/run/hello.sock ./hello.so
  narwhal -w 4 --venv /srv/shop/venv shop.web:app
  narwhal -c /etc/narwhal.yaml --check-config   exit 0 if it is valid
  gdb --args narwhal --debug ./hello.so         in one process, for a debugger
)";

constexpr const char* help_end = R"(
-b, -e, --reload-extra-file, --pythonpath and the lists of "Behind a proxy" may be given several
times. --flag=false turns a switch off. A number of bytes may end in K, M or G. An IPv6 HOST needs
brackets: [::1]:8000. A relative path is relative to --chdir if that is given, else to the current
directory.

If a setting has several sources, the first of these wins: the command line, NARWHAL_CMD_ARGS, the
file, the default. See narwhal(1), narwhal.yaml(5) and narwhal-wsgi(7).
)";

// "  -w, --workers INT": the short flag, if any, and the main long flag.
std::string flags_text(std::string_view flags, std::string_view metavar) {
  const bool has_short = !flags.starts_with("--");
  const std::string start = has_short ? std::string(flags.substr(0, 2)) + ", " : "    ";
  const std::string_view longs = flags.substr(flags.find("--"));
  return "  " + start + std::string(longs.substr(0, longs.find(','))) + (metavar.empty() ? "" : " ") +
         std::string(metavar);
}

std::string flags_text(const Setting& setting) { return flags_text(setting.flags, setting.metavar); }

// The column where the help of every flag begins: two blanks after the longest flag.
std::size_t flags_width() {
  std::size_t longest = 0;
  for (const Setting& setting : settings()) longest = std::max(longest, flags_text(setting).size());
  return longest + 2;
}

// "[30 seconds]", "[off]", "[none]".
std::string default_text(const Setting& setting) {
  static const Config defaults;
  const std::vector<std::string> texts = value_texts(setting, defaults);
  if (setting.is_switch()) return (texts[0] == "true") != setting.switches_off() ? "[on]" : "[off]";
  const std::string all = fmt::format("{}", fmt::join(texts, ","));
  if (all.empty()) return "[none]";
  if (all.size() > default_bytes_max) return "[Gunicorn's]";
  return "[" + all + (setting.unit.empty() ? "" : " " + std::string(setting.unit)) + "]";
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

// Without quotes where YAML reads it back as the same text, else in double quotes.
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
  return fmt::format("{:<{}}  # {}\n", line, origin_column, origin);
}

void print_options(const Options& options, const std::string& indent, std::string& out) {
  if (options.empty()) return;
  out += indent + "options:\n";
  for (const auto& [key, value] : options) out += indent + "  " + quoted(key) + ": " + quoted(value) + "\n";
}

std::string origin_of(const std::vector<Origin>& origins, std::string_view key) {
  const auto found =
      std::find_if(origins.begin(), origins.end(), [key](const Origin& origin) { return origin.key == key; });
  return found == origins.end() ? "default" : found->from;
}

// The root is written as `app`, unless it has what only a route can have.
bool is_plain_root(const Route& route) {
  return route.prefix.empty() && route.hosts.empty() && route.trailing_slash == TrailingSlash::as_sent &&
         !route.timeout && !route.soft_timeout;
}

void print_limit(const char* name, const std::optional<seconds>& limit, std::string& out) {
  if (limit) out += fmt::format("    {}: {}\n", name, limit->count());
}

void print_route(const Route& route, std::string& out) {
  out += "  - prefix: " + quoted(route.prefix.empty() ? "/" : route.prefix) + "\n";
  if (!route.hosts.empty()) out += "    host:\n";
  for (const std::string& host : route.hosts) out += "      - " + quoted(host) + "\n";
  out += "    app: " + quoted(route.app) + "\n";
  if (route.trailing_slash != TrailingSlash::as_sent)
    out +=
        fmt::format("    trailing_slash: {}\n", trailing_slash_words[static_cast<std::size_t>(route.trailing_slash)]);
  print_limit("timeout", route.timeout, out);
  print_limit("soft_timeout", route.soft_timeout, out);
  print_options(route.options, "    ", out);
}

void print_routes(const Config& config, const std::vector<Origin>& origins, std::string& out) {
  const auto root = std::find_if(config.routes.begin(), config.routes.end(), is_plain_root);
  const bool has_root = root != config.routes.end();
  out += with_origin("app: " + (has_root ? quoted(root->app) : "null"), origin_of(origins, "app"));
  if (has_root) print_options(root->options, "", out);
  const bool has_others = config.routes.size() > (has_root ? 1u : 0u);
  out += with_origin(has_others ? "routes:" : "routes: []", has_others ? origin_of(origins, "routes") : "default");
  for (const Route& route : config.routes) {
    if (!is_plain_root(route)) print_route(route, out);
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
  std::string text = usage;
  const std::size_t width = flags_width();
  text += "\nThe program\n";
  for (const ProgramFlag& flag : program_flags)
    text += fmt::format("{:<{}}{}\n", flags_text(flag.flags, flag.metavar), width, flag.help);
  std::optional<Group> group;
  for (const Setting& setting : settings()) {
    if (std::exchange(group, setting.group) != setting.group) text += fmt::format("\n{}\n", group_title(setting.group));
    text += fmt::format("{:<{}}{} {}\n", flags_text(setting), width, setting.help, default_text(setting));
  }
  return text + help_end;
}

std::string print_text(const Config& config, const std::vector<Origin>& origins) {
  std::string text;
  print_routes(config, origins, text);
  for (const Setting& setting : settings()) {
    print_setting(setting, config, origin_of(origins, setting.name), text);
  }
  if (config.has_worker_hooks) text += "# The workers run the hooks of " + quoted(config.conf_file) + "\n";
  return text;
}

}  // namespace narwhal::server
