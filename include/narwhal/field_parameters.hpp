// The parameters of a field's value: boundary in  multipart/form-data; boundary="a b".
// Ownership  values are strings of their own.
// Errors     what is not a parameter is skipped.
// Threads    any.
// Source     RFC 9110 5.6.6 (parameters), 5.6.4 (quoted strings).
#pragma once

#include <narwhal/text.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace narwhal {

namespace detail {

inline std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The quoted string at the beginning of `text`, and how many bytes it has there; without an end it goes up to the
// text's. A backslash stands only before a quote or a backslash: file names of Windows have others.
inline std::pair<std::string, std::size_t> unquote(std::string_view text) {
  std::string value;
  std::size_t at = 1;
  for (; at < text.size() && text[at] != '"'; ++at) {
    const bool escapes = text[at] == '\\' && at + 1 < text.size() && (text[at + 1] == '"' || text[at + 1] == '\\');
    if (escapes) ++at;
    value += text[at];
  }
  return {std::move(value), at < text.size() ? at + 1 : at};
}

}  // namespace detail

// Calls take(name, value) for each parameter, in order.
template <class Take>
void for_each_parameter(std::string_view field, Take take) {
  // What comes before the first semicolon is the value itself.
  std::size_t at = field.find(';');
  while (at < field.size()) {
    std::string_view rest = field.substr(at + 1);
    const std::size_t end = rest.find_first_of("=;");
    if (end == rest.npos) return;
    const std::string_view name = detail::trim(rest.substr(0, end));
    at += 1 + end;
    if (field[at] == ';') continue;  // a name without a value
    rest = field.substr(at + 1);
    const std::size_t start = rest.find_first_not_of(" \t");
    if (start != rest.npos && rest[start] == '"') {
      auto [value, size] = detail::unquote(rest.substr(start));
      take(name, std::move(value));
      at = field.find(';', at + 1 + start + size);
    } else {
      take(name, std::string(detail::trim(rest.substr(0, rest.find(';')))));
      at = field.find(';', at);
    }
  }
}

// The first parameter of this name, in any case.
inline std::optional<std::string> parameter_of(std::string_view field, std::string_view name) {
  std::optional<std::string> found;
  for_each_parameter(field, [&](std::string_view key, std::string value) {
    if (!found && equal_ignoring_case(key, name)) found = std::move(value);
  });
  return found;
}

}  // namespace narwhal
