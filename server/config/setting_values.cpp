#include "server/config/setting_values.hpp"

#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <span>

#include "core/bind_text.hpp"
#include "core/nearest_name.hpp"
#include "server/config/bind_address.hpp"
#include "server/config/processors.hpp"
#include "server/config/utf8.hpp"

namespace narwhal::server {
namespace {

using Fault = std::optional<std::string>;

constexpr std::array<std::string_view, 5> levels{"debug", "info", "warning", "error", "critical"};
constexpr std::array<std::string_view, 3> header_maps{"drop", "refuse", "dangerous"};
constexpr std::array<std::string_view, 3> client_headers{"both", "x-forwarded-for", "forwarded"};
constexpr std::array<std::string_view, 4> proxy_protocols{"off", "v1", "v2", "auto"};
constexpr std::array<std::string_view, 3> seccomp_modes{"off", "learn", "enforce"};
constexpr std::array<std::string_view, 3> reload_engines{"auto", "poll", "inotify"};

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

struct Number {
  std::uint64_t value = 0;
  bool digits_only = false, fits = false;
};

Number read_digits(std::string_view text, int base) {
  Number number;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number.value, base);
  number.digits_only = !text.empty() && end == text.data() + text.size() && code != std::errc::invalid_argument;
  number.fits = number.digits_only && code == std::errc{};
  return number;
}

// K, M or G at the end of a number of bytes; 1 if there is none.
std::uint64_t take_factor(std::string_view& text) {
  if (text.empty()) return 1;
  const std::size_t at = std::string_view("kmg").find(lower(text.substr(text.size() - 1)));
  if (at == std::string_view::npos) return 1;
  text.remove_suffix(1);
  return std::uint64_t{1} << (10 * (at + 1));
}

Fault whole_number(const Setting& setting, std::string_view text, int base, std::uint64_t& out) {
  std::string_view digits = text;
  const std::uint64_t factor = setting.unit.starts_with("bytes") ? take_factor(digits) : 1;
  const bool negative = digits.starts_with('-');
  if (negative) digits.remove_prefix(1);
  const Number number = read_digits(digits, base);
  if (!number.digits_only) {
    const bool octal = base == 8;
    std::string of = setting.unit.empty() ? "" : " of " + std::string(setting.unit);
    if (setting.unit.starts_with("bytes")) of += ", perhaps with K, M or G after it";
    return fmt::format("'{}' is not {} number{}", text, octal ? "an octal" : "a whole", of);
  }
  const bool above = !number.fits || number.value > setting.max / factor;
  if (above && !negative && setting.above == Setting::Above::cut) {
    out = setting.max;
    return std::nullopt;
  }
  const bool fits = !above && number.value * factor >= setting.min;
  if (!fits || (negative && number.value > 0)) {
    if (base == 8) return fmt::format("{} is out of range: it must be {:o} to {:o}", text, setting.min, setting.max);
    return fmt::format("{} is out of range: it must be {} to {}", text, setting.min, setting.max);
  }
  out = number.value * factor;
  return std::nullopt;
}

Fault read_switch(std::string_view text, bool& out) {
  const std::string word = lower(text);
  const bool yes = word == "true" || word == "yes" || word == "on";
  if (!yes && word != "false" && word != "no" && word != "off") {
    return fmt::format("'{}' is not true or false", text);
  }
  out = yes;
  return std::nullopt;
}

// One of `words`, in any case, as the enumerator of the same index. `what`: "a log level", for the fault.
template <class Enum>
Fault read_word(std::string_view text, std::span<const std::string_view> words, const char* what, Enum& out) {
  const std::string word = lower(text);
  const auto found = std::find(words.begin(), words.end(), word);
  if (found != words.end()) {
    out = static_cast<Enum>(found - words.begin());
    return std::nullopt;
  }
  const std::string_view near = nearest_name(word, words);
  // 'v9' is as near to v1 as to v2.
  const std::vector<std::string_view> backwards(words.rbegin(), words.rend());
  if (!near.empty() && near == nearest_name(word, backwards))
    return fmt::format("'{}' is not {}: did you mean '{}'?", text, what, near);
  const std::string first = fmt::format("{}", fmt::join(words.first(words.size() - 1), ", "));
  return fmt::format("'{}' is not {}: use {} or {}", text, what, first, words.back());
}

// In earlier versions of Gunicorn this was a switch.
Fault read_proxy_protocol(std::string_view text, ProxyProtocol& out) {
  bool on = false;
  if (lower(text) != "off" && !read_switch(text, on)) {
    out = on ? ProxyProtocol::either : ProxyProtocol::off;
    return std::nullopt;
  }
  return read_word(text, proxy_protocols, "a PROXY protocol mode", out);
}

// The umask as Gunicorn reads it: 022 and 0o22 are octal, 0x12 is hexadecimal, 0b10010 binary, and 18 decimal.
Fault read_mode(const Setting& setting, std::string_view text, int& out) {
  std::string_view digits = text;
  const std::string mark = lower(digits.substr(0, 2));
  const int base = mark == "0x" ? 16 : mark == "0b" ? 2 : mark.starts_with("0") ? 8 : 10;
  if (mark == "0x" || mark == "0b" || mark == "0o") digits.remove_prefix(2);
  const Number number = read_digits(digits, base);
  if (!number.digits_only)
    return fmt::format("'{}' is not a number: write it in octal with a 0 in front, as in 022", text);
  if (!number.fits || number.value > setting.max)
    return fmt::format("{} is out of range: it must be 00 to 0{:o}; an octal number begins with 0", text, setting.max);
  out = static_cast<int>(number.value);
  return std::nullopt;
}

Fault read_variable(std::string_view text, Options& out) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) return fmt::format("'{}' is not NAME=VALUE", text);
  if (text.find('\0') != std::string_view::npos) return "contains a NUL byte";
  out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  return std::nullopt;
}

Fault read_ranges(std::string_view text, IpRanges& out) {
  const Result<Done> added = out.add(text);
  return added ? std::nullopt : Fault(added.error());
}

bool is_field_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

// "SCRIPT_NAME,PATH_INFO", or "*".
Fault read_field_names(std::string_view text, std::vector<std::string>& out) {
  std::vector<std::string> names;
  for (bool more = !text.empty(); more;) {
    const std::size_t comma = text.find(',');
    std::string_view name = text.substr(0, comma);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    if (name != "*" && !is_field_name(name)) return fmt::format("'{}' is not the name of a header field", name);
    names.emplace_back(name);
    more = comma != std::string_view::npos;
    if (more) text.remove_prefix(comma + 1);
  }
  out.insert(out.end(), names.begin(), names.end());
  return std::nullopt;
}

// A field and its value.
Fault read_field(std::string_view text, Options& out) {
  const std::size_t equals = text.find('=');
  const bool well_formed = equals != std::string_view::npos && is_field_name(text.substr(0, equals)) &&
                           equals + 1 != text.size() && is_printable(text);
  if (!well_formed) return fmt::format("'{}' is not NAME=VALUE, with the name of a header field", text);
  out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  return std::nullopt;
}

// A control byte in a path, a name or a header is a mistake at best.
Fault read_text(std::string_view text, std::string& out) {
  if (!is_printable(text)) return "contains a control character";
  out = text;
  return std::nullopt;
}

// One path, or several with `separator` between them; `text` itself contains no NUL. Empty ones are skipped, as in
// Gunicorn.
Fault read_paths(std::string_view text, char separator, std::vector<std::string>& out) {
  if (!is_printable(text)) return "contains a control character";
  while (true) {
    const std::size_t end = text.find(separator);
    if (end != 0 && !text.empty()) out.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return std::nullopt;
    text.remove_prefix(end + 1);
  }
}

struct Reader {
  const Setting& setting;
  std::string_view text;
  Config& config;

  Fault operator()(bool Config::*member) const { return read_switch(text, config.*member); }
  Fault operator()(unsigned Config::*member) const {
    if (setting.name == "workers" && text == "auto") {
      config.*member = static_cast<unsigned>(std::min<std::uint64_t>(usable_processors(), setting.max));
      return std::nullopt;
    }
    std::uint64_t number = 0;
    if (Fault fault = whole_number(setting, text, 10, number)) return fault;
    config.*member = static_cast<unsigned>(number);
    return std::nullopt;
  }
  Fault operator()(int Config::*member) const { return read_mode(setting, text, config.*member); }
  Fault operator()(std::size_t Config::*member) const { return whole_number(setting, text, 10, config.*member); }
  Fault operator()(std::chrono::seconds Config::*member) const {
    std::uint64_t number = 0;
    if (Fault fault = whole_number(setting, text, 10, number)) return fault;
    config.*member = std::chrono::seconds(number);
    return std::nullopt;
  }
  Fault operator()(std::string Config::*member) const { return read_text(text, config.*member); }
  Fault operator()(LogLevel Config::*member) const { return read_word(text, levels, "a log level", config.*member); }
  Fault operator()(HeaderMap Config::*member) const {
    return read_word(text, header_maps, "a way to treat such headers", config.*member);
  }
  Fault operator()(ClientHeader Config::*member) const {
    return read_word(text, client_headers, "a header that names the client", config.*member);
  }
  Fault operator()(ProxyProtocol Config::*member) const { return read_proxy_protocol(text, config.*member); }
  Fault operator()(Wire Config::*member) const { return read_word(text, wire_names, "a protocol", config.*member); }
  Fault operator()(ReloadEngine Config::*member) const {
    return read_word(text, reload_engines, "a reload engine", config.*member);
  }
  Fault operator()(Share Config::*member) const {
    Share share;
    share.is_percent = text.ends_with('%');
    const std::string_view digits = share.is_percent ? text.substr(0, text.size() - 1) : text;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), share.amount);
    const bool is_number = error == std::errc() && end == digits.data() + digits.size();
    if (!is_number || share.amount > (share.is_percent ? 100 : setting.max))
      return fmt::format("'{}' is neither a number of workers up to {} nor a percentage such as 25%", text,
                         setting.max);
    config.*member = share;
    return std::nullopt;
  }
  Fault operator()(Seccomp Config::*member) const {
    return read_word(text, seccomp_modes, "a mode of seccomp", config.*member);
  }
  Fault operator()(std::vector<Bind> Config::*member) const {
    Result<Bind> bind = parse_bind(text);
    if (!bind) return fmt::format("'{}': {}", text, bind.error());
    std::vector<Bind>& binds = config.*member;
    const bool twice =
        std::any_of(binds.begin(), binds.end(), [&](const Bind& other) { return same_address(other, *bind); });
    if (twice && (bind->kind != Bind::Kind::tcp || bind->port != 0)) return fmt::format("'{}' appears twice", text);
    binds.push_back(*std::move(bind));
    return std::nullopt;
  }
  Fault operator()(Options Config::*member) const {
    return setting.text == Setting::Text::field ? read_field(text, config.*member)
                                                : read_variable(text, config.*member);
  }
  Fault operator()(IpRanges Config::*member) const { return read_ranges(text, config.*member); }
  Fault operator()(std::vector<std::string> Config::*member) const {
    if (setting.text == Setting::Text::field) return read_field_names(text, config.*member);
    return read_paths(text, setting.text == Setting::Text::paths ? ',' : '\0', config.*member);
  }
};

struct Writer {
  const Config& config;

  using Texts = std::vector<std::string>;
  Texts operator()(bool Config::*member) const { return {config.*member ? "true" : "false"}; }
  Texts operator()(unsigned Config::*member) const { return {std::to_string(config.*member)}; }
  Texts operator()(int Config::*member) const {  // with a 0 in front, so that it is read as octal
    const std::string octal = fmt::format("{:03o}", config.*member);
    return {(octal.front() == '0' ? "" : "0") + octal};
  }
  Texts operator()(std::size_t Config::*member) const { return {std::to_string(config.*member)}; }
  Texts operator()(std::chrono::seconds Config::*member) const { return {std::to_string((config.*member).count())}; }
  Texts operator()(std::string Config::*member) const { return {config.*member}; }
  Texts operator()(LogLevel Config::*member) const {
    return {std::string(levels[static_cast<std::size_t>(config.*member)])};
  }
  Texts operator()(HeaderMap Config::*member) const {
    return {std::string(header_maps[static_cast<std::size_t>(config.*member)])};
  }
  Texts operator()(ClientHeader Config::*member) const {
    return {std::string(client_headers[static_cast<std::size_t>(config.*member)])};
  }
  Texts operator()(Wire Config::*member) const { return {std::string(wire_name(config.*member))}; }
  Texts operator()(ProxyProtocol Config::*member) const {
    return {std::string(proxy_protocols[static_cast<std::size_t>(config.*member)])};
  }
  Texts operator()(ReloadEngine Config::*member) const {
    return {std::string(reload_engines[static_cast<std::size_t>(config.*member)])};
  }
  Texts operator()(Share Config::*member) const {
    const Share& share = config.*member;
    return {std::to_string(share.amount) + (share.is_percent ? "%" : "")};
  }
  Texts operator()(Seccomp Config::*member) const {
    return {std::string(seccomp_modes[static_cast<std::size_t>(config.*member)])};
  }
  Texts operator()(std::vector<Bind> Config::*member) const {
    Texts texts;
    for (const Bind& bind : config.*member) texts.push_back(configured_text(bind));
    return texts;
  }
  Texts operator()(Options Config::*member) const {
    Texts texts;
    for (const auto& [name, value] : config.*member) texts.push_back(name + "=" + value);
    return texts;
  }
  Texts operator()(IpRanges Config::*member) const { return (config.*member).texts(); }
  Texts operator()(std::vector<std::string> Config::*member) const { return config.*member; }
};

}  // namespace

std::optional<std::string> set_value(const Setting& setting, std::string_view text, Config& config) {
  return std::visit(Reader{setting, text, config}, setting.member);
}

void clear_list(const Setting& setting, Config& config) {
  if (!setting.is_list()) return;
  std::visit([&](auto member) { config.*member = {}; }, setting.member);
}

std::vector<std::string> value_texts(const Setting& setting, const Config& config) {
  return std::visit(Writer{config}, setting.member);
}

std::string value_words(const Setting& setting) {
  if (setting.name == "worker_class") return "sync gthread gevent eventlet tornado";
  const auto all = [](const auto& words) { return fmt::format("{}", fmt::join(words, " ")); };
  if (std::holds_alternative<LogLevel Config::*>(setting.member)) return all(levels);
  if (std::holds_alternative<HeaderMap Config::*>(setting.member)) return all(header_maps);
  if (std::holds_alternative<ClientHeader Config::*>(setting.member)) return all(client_headers);
  if (std::holds_alternative<Wire Config::*>(setting.member)) return all(wire_names);
  if (std::holds_alternative<ProxyProtocol Config::*>(setting.member)) return all(proxy_protocols);
  if (std::holds_alternative<ReloadEngine Config::*>(setting.member)) return all(reload_engines);
  if (std::holds_alternative<Seccomp Config::*>(setting.member)) return all(seccomp_modes);
  return "";
}

bool same_value(const Setting& setting, const Config& left, const Config& right) {
  return std::visit([&](auto member) { return left.*member == right.*member; }, setting.member);
}

}  // namespace narwhal::server
