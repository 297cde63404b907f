// Cookies: what the client sends, and Set-Cookie fields.
//   std::optional<std::string_view> session = narwhal::cookie(request, "session");
//   narwhal::set_cookie(response, {.name = "session", .value = id, .max_age = 3600s});
// Ownership  what is read are views of the request. What is set is copied.
// Errors     reading: none, what is not a pair is skipped. Setting throws std::invalid_argument for a name, value or
//            attribute that may not go into the field; encode a free text first (percent_encode(), text.hpp).
// Threads    any.
// Source     RFC 6265 4.1 (Set-Cookie), 4.2, 5.4 (Cookie); SameSite and the prefixes __Host- and __Secure-:
//            draft-ietf-httpbis-rfc6265bis 4.1.
#pragma once

#include <narwhal/response.hpp>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace narwhal {

using CookiePairs = std::vector<std::pair<std::string_view, std::string_view>>;

// "a=1; b=2" in order. White space around a pair is dropped, and one pair of quotes around a value, because RFC 6265
// lets a server send them. A name may come several times: clients send the most exact path first.
template <class Take>
void for_each_cookie(std::string_view field, Take take) {
  const auto trim = [](std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
  };
  while (!field.empty()) {
    const std::string_view pair = field.substr(0, field.find(';'));
    field.remove_prefix(pair.size() == field.size() ? pair.size() : pair.size() + 1);
    const std::size_t equals = pair.find('=');
    if (equals == pair.npos) continue;
    const std::string_view name = trim(pair.substr(0, equals));
    std::string_view value = trim(pair.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    if (!name.empty()) take(name, value);
  }
}

inline CookiePairs cookies(const Request& request) {
  CookiePairs pairs;
  for (const auto [name, value] : request.headers()) {
    if (!equal_ignoring_case(name, "Cookie")) continue;
    for_each_cookie(value, [&](std::string_view key, std::string_view text) { pairs.emplace_back(key, text); });
  }
  return pairs;
}
// The first cookie of this name; names have a case.
inline std::optional<std::string_view> cookie(const Request& request, std::string_view name) {
  for (const auto& [key, value] : cookies(request)) {
    if (key == name) return value;
  }
  return std::nullopt;
}

enum class SameSite : unsigned char { lax, strict, none };

// The defaults are those of a session: for this site only, not for scripts, until the browser ends. `secure` is yours
// to set wherever the site has TLS.
struct SetCookie {
  std::string name = "", value = "";
  std::string path = "/", domain = "";
  std::optional<std::chrono::seconds> max_age = std::nullopt;  // zero or less: the client deletes it
  bool secure = false, http_only = true;
  SameSite same_site = SameSite::lax;
};

namespace detail {

// A token (RFC 9110 5.6.2).
inline bool is_token(std::string_view text) noexcept {
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!plain && std::string_view("!#$%&'*+-.^_`|~").find(c) == std::string_view::npos) return false;
  }
  return !text.empty();
}
// Printable ASCII without what ends a value: cookie-octet of RFC 6265 4.1.1.
inline bool is_cookie_value(std::string_view text) noexcept {
  for (const char c : text) {
    if (c <= 0x20 || c >= 0x7f || c == '"' || c == ',' || c == ';' || c == '\\') return false;
  }
  return true;
}
inline bool is_attribute(std::string_view text) noexcept {
  for (const char c : text) {
    if (c < 0x20 || c >= 0x7f || c == ';') return false;
  }
  return true;
}

}  // namespace detail

// The field's value. Throws std::invalid_argument.
inline std::string write_set_cookie(const SetCookie& cookie) {
  const auto check = [&](bool holds, const char* why) {
    if (!holds) throw std::invalid_argument("cookie '" + cookie.name + "': " + why);
  };
  const std::string_view name = cookie.name;
  check(detail::is_token(name), "the name is not a token");
  check(detail::is_cookie_value(cookie.value), "the value has a character that needs encoding");
  check(detail::is_attribute(cookie.path) && detail::is_attribute(cookie.domain), "a path or domain with a ';'");
  check(cookie.secure || cookie.same_site != SameSite::none, "SameSite=None needs secure: browsers refuse it");
  check(cookie.secure || !name.starts_with("__Secure-"), "the prefix __Secure- needs secure");
  check(!name.starts_with("__Host-") || (cookie.secure && cookie.path == "/" && cookie.domain.empty()),
        "the prefix __Host- needs secure, the path / and no domain");
  std::string field = cookie.name + "=" + cookie.value;
  if (!cookie.path.empty()) field += "; Path=" + cookie.path;
  if (!cookie.domain.empty()) field += "; Domain=" + cookie.domain;
  if (cookie.max_age) field += "; Max-Age=" + std::to_string(cookie.max_age->count());
  if (cookie.secure) field += "; Secure";
  if (cookie.http_only) field += "; HttpOnly";
  field += cookie.same_site == SameSite::lax      ? "; SameSite=Lax"
           : cookie.same_site == SameSite::strict ? "; SameSite=Strict"
                                                  : "; SameSite=None";
  return field;
}
inline void set_cookie(Response& response, const SetCookie& cookie) {
  response.header("Set-Cookie", write_set_cookie(cookie));
}
// Name, path and domain must be those that it was set with.
inline void delete_cookie(Response& response, SetCookie cookie) {
  cookie.value.clear();
  cookie.max_age = std::chrono::seconds(0);
  set_cookie(response, cookie);
}

}  // namespace narwhal
