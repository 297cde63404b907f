#include "server/config/bind_options.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>

#include "core/nearest_name.hpp"
#include "server/config/settings.hpp"
#include "server/config/utf8.hpp"

namespace narwhal::server {
namespace {

constexpr std::array<std::string_view, 5> names{"mode", "owner", "group", "backlog", "allow_from"};
constexpr unsigned mode_max = 0777;

using Fault = std::optional<Error>;

std::optional<unsigned> number_in(std::string_view text, int base) {
  unsigned number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Fault read_mode(std::string_view text, std::optional<unsigned>& out) {
  out = number_in(text, 8);
  if (!out) return Error{fmt::format("mode={}: '{}' is not an octal number, as in mode=0660", text, text)};
  if (*out > mode_max) return Error{fmt::format("mode={}: it must be 0000 to 0777", text)};
  return std::nullopt;
}

Fault read_name(std::string_view option, std::string_view text, std::string& out) {
  if (text.empty() || !is_printable(text)) return Error{fmt::format("{}= needs a name or a number", option)};
  out = text;
  return std::nullopt;
}

Fault read_backlog(std::string_view text, std::optional<unsigned>& out) {
  const Setting& setting = *find_setting("backlog");
  out = number_in(text, 10);
  if (out && *out >= setting.min && *out <= setting.max) return std::nullopt;
  return Error{fmt::format("backlog={}: it must be a number from {} to {}", text, setting.min, setting.max)};
}

Fault read_allowed(std::string_view text, std::optional<IpRanges>& out) {
  out.emplace();
  const Result<Done> added = out->add(text);
  if (!added) return Error{fmt::format("allow_from={}: {}", text, added.error())};
  return std::nullopt;
}

Error unknown(std::string_view name) {
  const std::string_view near = nearest_name(name, names);
  const std::string advice = near.empty() ? "the options are mode, owner, group, backlog and allow_from"
                                          : fmt::format("did you mean '{}'?", near);
  return Error{fmt::format("unknown option '{}' after '?': {} (a path that contains '?' has another '?' at its end)",
                           name, advice)};
}

Fault check_kind(std::string_view name, const Bind& bind) {
  const Bind::Kind kind = bind.kind;
  if (name == "allow_from" && bind.wire == Wire::http)
    return Error{"allow_from: it is for fastcgi://, scgi:// and uwsgi://, whose peers are believed: remove it"};
  if (name == "allow_from" && kind == Bind::Kind::unix_socket)
    return Error{"allow_from: peers of a Unix socket have no address: use mode=, owner= and group="};
  if (name == "allow_from") return std::nullopt;
  if (kind == Bind::Kind::inherited)
    return Error{fmt::format("{}: a socket that is open already has no options: remove '?' and what follows", name)};
  if (kind == Bind::Kind::tcp && name != "backlog")
    return Error{fmt::format("{}: only the file of a Unix socket has one: remove it, or use unix:PATH", name)};
  return std::nullopt;
}

Fault read_option(std::string_view name, std::string_view value, BindOptions& out) {
  if (name == "mode") return read_mode(value, out.mode);
  if (name == "owner") return read_name(name, value, out.owner);
  if (name == "group") return read_name(name, value, out.group);
  if (name == "allow_from") return read_allowed(value, out.allow_from);
  return read_backlog(value, out.backlog);
}

bool has_option(std::string_view name, const BindOptions& options) {
  return (name == "mode" && options.mode) || (name == "owner" && !options.owner.empty()) ||
         (name == "group" && !options.group.empty()) || (name == "backlog" && options.backlog) ||
         (name == "allow_from" && options.allow_from);
}

}  // namespace

Result<BindOptions> parse_bind_options(std::string_view text, const Bind& bind) {
  BindOptions options;
  while (!text.empty()) {
    const std::string_view option = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(option.size() + 1, text.size()));
    const std::string_view name = option.substr(0, option.find('='));
    if (std::find(names.begin(), names.end(), name) == names.end()) return unknown(name);
    if (name.size() == option.size()) return Error{fmt::format("option '{}' needs a value: {}=...", name, name)};
    if (has_option(name, options)) return Error{fmt::format("option '{}' appears twice", name)};
    if (const Fault fault = check_kind(name, bind)) return *fault;
    if (const Fault fault = read_option(name, option.substr(name.size() + 1), options)) return *fault;
  }
  return options;
}

}  // namespace narwhal::server
