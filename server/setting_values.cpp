#include "server/setting_values.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "server/bind_address.hpp"
#include "server/nearest_name.hpp"
#include "server/utf8.hpp"

namespace narwhal::server {
namespace {

using Fault = std::optional<std::string>;

constexpr std::array<std::string_view, 5> kLevels{"debug", "info", "warning", "error", "critical"};

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

// K, M or G after a number of bytes; 1 when there is none.
std::uint64_t take_factor(std::string_view& text) {
  if (text.empty()) return 1;
  const std::size_t at = std::string_view("kmg").find(lower(text.substr(text.size() - 1)));
  if (at == std::string_view::npos) return 1;
  text.remove_suffix(1);
  return std::uint64_t{1} << (10 * (at + 1));
}

Fault whole_number(const Setting& setting, std::string_view text, int base, std::uint64_t& out) {
  std::string_view digits = text;
  const std::uint64_t factor = setting.unit == "bytes" ? take_factor(digits) : 1;
  const bool negative = digits.starts_with('-');
  if (negative) digits.remove_prefix(1);
  const Number number = read_digits(digits, base);
  if (!number.digits_only) {
    const bool octal = base == 8;
    const std::string of = setting.unit.empty() ? "" : " of " + std::string(setting.unit);
    return fmt::format("'{}' is not {} number{}", text, octal ? "an octal" : "a whole", of);
  }
  const bool above = !number.fits || number.value > setting.max / factor;
  if (above && !negative && setting.above == Setting::Above::cut) {
    out = setting.max;
    return std::nullopt;
  }
  const bool fits = !above && number.value * factor >= setting.min;
  if (!fits || (negative && number.value > 0)) {
    if (base == 8) return fmt::format("{} is out of range: {:o} to {:o}", text, setting.min, setting.max);
    return fmt::format("{} is out of range: {} to {}", text, setting.min, setting.max);
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

Fault read_level(std::string_view text, LogLevel& out) {
  const std::string word = lower(text);
  const auto found = std::find(kLevels.begin(), kLevels.end(), word);
  if (found != kLevels.end()) {
    out = static_cast<LogLevel>(found - kLevels.begin());
    return std::nullopt;
  }
  const std::string_view near = nearest_name(word, kLevels);
  if (!near.empty()) return fmt::format("'{}' is not a level: did you mean '{}'?", text, near);
  return fmt::format("'{}' is not a level: debug, info, warning, error or critical", text);
}

// The umask, as a shell has it: octal, with or without its leading zero or 0o.
Fault read_mode(const Setting& setting, std::string_view text, int& out) {
  std::string_view digits = text;
  if (digits.starts_with("0o")) digits.remove_prefix(2);
  std::uint64_t number = 0;
  if (Fault fault = whole_number(setting, digits, 8, number)) return fault;
  out = static_cast<int>(number);
  return std::nullopt;
}

Fault read_variable(std::string_view text, Options& out) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) return fmt::format("'{}' is not NAME=VALUE", text);
  if (text.find('\0') != std::string_view::npos) return "holds a NUL";
  out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  return std::nullopt;
}

// A control byte in a path, a name or a header is a mistake at best.
Fault read_text(std::string_view text, std::string& out) {
  if (!is_printable(text)) return "holds a control character";
  out = text;
  return std::nullopt;
}

struct Reader {
  const Setting& setting;
  std::string_view text;
  Config& config;

  Fault operator()(bool Config::*member) const { return read_switch(text, config.*member); }
  Fault operator()(unsigned Config::*member) const {
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
  Fault operator()(LogLevel Config::*member) const { return read_level(text, config.*member); }
  Fault operator()(std::vector<Bind> Config::*member) const {
    Result<Bind> bind = parse_bind(text);
    if (!bind) return fmt::format("'{}': {}", text, bind.error());
    std::vector<Bind>& binds = config.*member;
    const bool twice = std::find(binds.begin(), binds.end(), *bind) != binds.end();
    if (twice && (bind->kind != Bind::Kind::tcp || bind->port != 0)) return fmt::format("'{}' is there twice", text);
    binds.push_back(*std::move(bind));
    return std::nullopt;
  }
  Fault operator()(Options Config::*member) const { return read_variable(text, config.*member); }
};

struct Writer {
  const Config& config;

  using Texts = std::vector<std::string>;
  Texts operator()(bool Config::*member) const { return {config.*member ? "true" : "false"}; }
  Texts operator()(unsigned Config::*member) const { return {std::to_string(config.*member)}; }
  Texts operator()(int Config::*member) const { return {fmt::format("{:03o}", config.*member)}; }
  Texts operator()(std::size_t Config::*member) const { return {std::to_string(config.*member)}; }
  Texts operator()(std::chrono::seconds Config::*member) const { return {std::to_string((config.*member).count())}; }
  Texts operator()(std::string Config::*member) const { return {config.*member}; }
  Texts operator()(LogLevel Config::*member) const {
    return {std::string(kLevels[static_cast<std::size_t>(config.*member)])};
  }
  Texts operator()(std::vector<Bind> Config::*member) const {
    Texts texts;
    for (const Bind& bind : config.*member) texts.push_back(bind_text(bind));
    return texts;
  }
  Texts operator()(Options Config::*member) const {
    Texts texts;
    for (const auto& [name, value] : config.*member) texts.push_back(name + "=" + value);
    return texts;
  }
};

}  // namespace

std::optional<std::string> set_value(const Setting& setting, std::string_view text, Config& config) {
  return std::visit(Reader{setting, text, config}, setting.member);
}

void clear_list(const Setting& setting, Config& config) {
  if (const auto* binds = std::get_if<std::vector<Bind> Config::*>(&setting.member)) (config.**binds).clear();
  if (const auto* variables = std::get_if<Options Config::*>(&setting.member)) (config.**variables).clear();
}

std::vector<std::string> value_texts(const Setting& setting, const Config& config) {
  return std::visit(Writer{config}, setting.member);
}

bool same_value(const Setting& setting, const Config& left, const Config& right) {
  return std::visit([&](auto member) { return left.*member == right.*member; }, setting.member);
}

}  // namespace narwhal::server
