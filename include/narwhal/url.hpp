// URLs of the app's own: paths by the names of routes, and redirects that know where the app is mounted.
//   router.get("/users/<int:id>", show).name("user");
//   url_for(request, "user", {{"id", 42}, {"tab", "mail"}})  ->  "/shop/users/42?tab=mail" in a plugin under /shop
// Ownership  results are strings of their own.
// Errors     std::invalid_argument for a name, parameter or path that cannot be meant: a mistake of the app.
// Threads    any.
// Source     RFC 3986 3.3, 3.4.
#pragma once

#include <narwhal/router.hpp>

#include <concepts>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>

namespace narwhal {

// A parameter's value, not encoded.
struct UrlParameter {
  struct Value {
    Value(const char* given) : text(given) {}
    Value(std::string_view given) : text(given) {}
    Value(std::string given) : text(std::move(given)) {}
    template <std::integral Number>
    Value(Number number) : text(std::to_string(number)) {}
    std::string text;
  };
  std::string_view name;
  Value value;
};

namespace detail {

inline constexpr std::string_view path_characters = "!$&'()*+,;=:@";  // beside the unreserved ones (RFC 3986 3.3)

inline std::string encode_parameter(const Pattern::Segment& segment, std::string_view value) {
  const auto refuse = [&](const char* why) {
    throw std::invalid_argument("'" + std::string(value) + "' cannot be the path parameter '" + segment.text +
                                "': " + why);
  };
  const bool rest = segment.kind == Pattern::Kind::rest;
  if (value.empty() || (rest && value.front() == '/')) refuse("a segment would be empty");
  if (segment.kind == Pattern::Kind::integer && !is_int(value)) refuse("it is not an int");
  if (value == "." || value == "..") refuse("a client would take it away");
  return percent_encode(value, rest ? std::string(path_characters) + "/" : std::string(path_characters));
}

// What `pattern` and the parameters give, without a prefix. Parameters that the pattern lacks become the query.
inline std::string write_path(const Pattern& pattern, std::string_view name,
                              std::initializer_list<UrlParameter> parameters) {
  std::string path;
  for (const Pattern::Segment& segment : pattern.segments) {
    path += '/';
    if (segment.kind == Pattern::Kind::text) {
      path += percent_encode(segment.text, path_characters);
      continue;
    }
    const UrlParameter* given = nullptr;
    for (const UrlParameter& parameter : parameters) {
      if (parameter.name == segment.text) given = &parameter;
    }
    if (given == nullptr) {
      throw std::invalid_argument("route '" + std::string(name) + "' needs the parameter '" + segment.text + "'");
    }
    path += encode_parameter(segment, given->value.text);
  }
  if (pattern.slash) path += '/';
  char separator = '?';
  for (const UrlParameter& parameter : parameters) {
    bool in_path = false;
    for (const Pattern::Segment& segment : pattern.segments) {
      in_path = in_path || (segment.kind != Pattern::Kind::text && segment.text == parameter.name);
    }
    if (in_path) continue;
    path.append(1, separator)
        .append(percent_encode(parameter.name))
        .append("=")
        .append(percent_encode(parameter.value.text));
    separator = '&';
  }
  return path;
}

inline std::string encode_prefix(std::string_view prefix) {
  return percent_encode(prefix, std::string(path_characters) + "/");
}

}  // namespace detail

// The path of the route with this name, in the router that has called the app; else in the one that it is mounted in,
// and so on outwards. Begins with the prefix, so that a browser can use it as it is.
inline std::string url_for(const Request& request, std::string_view name,
                           std::initializer_list<UrlParameter> parameters = {}) {
  for (const detail::Routing* at = request.routing(); at != nullptr; at = at->outer) {
    const detail::Pattern* const pattern = at->router == nullptr ? nullptr : at->router->pattern_of(name);
    if (pattern == nullptr) continue;
    const std::string_view prefix = detail::Routing::prefix_at(at->outer, request.mount_prefix());
    return detail::encode_prefix(prefix) + detail::write_path(*pattern, name, parameters);
  }
  throw std::invalid_argument("no route is named '" + std::string(name) + "'");
}
// The same without a request: the path below the router's own prefix.
inline std::string url_for(const Router& router, std::string_view name,
                           std::initializer_list<UrlParameter> parameters = {}) {
  const detail::Pattern* const pattern = router.pattern_of(name);
  if (pattern == nullptr) throw std::invalid_argument("no route is named '" + std::string(name) + "'");
  return detail::write_path(*pattern, name, parameters);
}

// Leads to a path below the app's prefix: redirect_to(request, "/x") in a plugin under /shop leads to /shop/x. `path`
// is encoded already, and may have a query. Throws std::invalid_argument unless it begins with one slash: "//host" and
// "/\host" are addresses of other servers to a browser.
inline Response redirect_to(const Request& request, std::string_view path, int status = 302) {
  const bool leaves = path.size() > 1 && (path[1] == '/' || path[1] == '\\');
  if (!path.starts_with('/') || leaves) {
    throw std::invalid_argument("redirect_to '" + std::string(path) +
                                "': it must be a path that begins with one slash");
  }
  return Response::redirect(detail::encode_prefix(request.prefix()).append(path), status);
}

}  // namespace narwhal
