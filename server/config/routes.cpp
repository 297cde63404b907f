#include "server/config/routes.hpp"

#include <algorithm>

namespace narwhal::server {
namespace {

// A prefix is written decoded. It holds letters of all languages, and what a path may contain without an escape (RFC
// 3986 pchar).
bool is_path_byte(char c) {
  if (static_cast<unsigned char>(c) >= 0x80) return true;
  const bool letter_or_digit = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return letter_or_digit || std::string_view("-._~!$&'()*+,;=:@/").find(c) != std::string_view::npos;
}

bool has_dot_segment(const std::string& prefix) {
  const std::string closed = prefix + "/";
  return closed.find("/./") != std::string::npos || closed.find("/../") != std::string::npos;
}

}  // namespace

Result<std::string> normal_prefix(std::string_view text) {
  std::string prefix(text);
  if (!prefix.empty() && prefix.front() != '/') return Error{"prefix '" + prefix + "' does not begin with '/'"};
  while (!prefix.empty() && prefix.back() == '/') prefix.pop_back();
  if (prefix.find("//") != std::string::npos)
    return Error{"prefix '" + prefix + "' contains an empty segment: remove one of the slashes"};
  if (has_dot_segment(prefix)) return Error{"prefix '" + prefix + "' contains a segment '.' or '..'"};
  if (prefix.find('%') != std::string::npos)
    return Error{"prefix '" + prefix + "' contains '%': write its letters as they are, without percent-encoding"};
  const auto odd = std::find_if_not(prefix.begin(), prefix.end(), is_path_byte);
  if (odd != prefix.end()) return Error{"prefix '" + prefix + "' contains a character that is not allowed in a prefix"};
  return prefix;
}

std::optional<std::string> read_trailing_slash(std::string_view text, TrailingSlash& out) {
  const auto found = std::find(std::begin(trailing_slash_words), std::end(trailing_slash_words), text);
  if (found == std::end(trailing_slash_words))
    return "'" + std::string(text) + "' is not a way to treat slashes: use as_sent, strict or tolerant";
  out = static_cast<TrailingSlash>(found - std::begin(trailing_slash_words));
  return std::nullopt;
}

std::optional<std::string> common_host(const Route& one, const Route& other) {
  if (one.prefix != other.prefix || one.hosts.empty() != other.hosts.empty()) return std::nullopt;
  if (one.hosts.empty()) return "";
  const auto both = std::find_first_of(one.hosts.begin(), one.hosts.end(), other.hosts.begin(), other.hosts.end());
  if (both == one.hosts.end()) return std::nullopt;
  return *both;
}

void sort_routes(std::vector<Route>& routes) {
  std::stable_sort(routes.begin(), routes.end(),
                   [](const Route& left, const Route& right) { return left.prefix.size() > right.prefix.size(); });
}

bool is_python_app(std::string_view app) { return app.find(':') < app.find('/'); }

bool is_plugin_path(std::string_view app) {
  return !is_python_app(app) && (app.find('/') != std::string_view::npos || app.ends_with(".so"));
}

}  // namespace narwhal::server
