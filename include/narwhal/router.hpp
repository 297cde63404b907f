// Router: an app that chooses another app by path and method.
//   /users/<int:id>       digits that fit an int64_t
//   /users/<string:name>  one segment, not empty; <name> is the same
//   /files/<path:rest>    the rest of the path, not empty, slashes included; allowed only as the last segment
// Order      the more exact pattern wins (text, int, string, path), segment by segment; then the earlier one.
// Decoding   segments are percent-decoded after the path was split: %2F does not separate segments.
// Slashes    strict, as in Flask: the pattern /a/ also answers /a, with a 308 to /a/; the pattern /a does not answer
//            /a/. With strict_slashes(false) either pattern answers either path.
// Methods    GET also serves HEAD; OPTIONS is answered with Allow; another method gets 405 with Allow.
// Ownership  copies share the routes. Parameters are views, valid as long as the request.
// Errors     add() and its short forms throw std::invalid_argument for a pattern that cannot be read; what a route's
//            app throws passes through.
// Threads    add routes first, from one thread; then any number of threads may call it.
// Source     the patterns are those of Flask and Werkzeug.
#pragma once

#include <narwhal/request.hpp>
#include <narwhal/response.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace narwhal {

using App = std::function<Response(const Request&)>;

namespace detail {

// A parsed pattern.
struct Pattern {
  enum class Kind : unsigned char { text, integer, string, rest };  // the more exact first
  struct Segment {
    Kind kind;
    std::string text;  // the segment itself, or the parameter's name
  };
  std::vector<Segment> segments;
  bool slash = true;  // ends with a slash

  std::vector<Kind> kinds() const {
    std::vector<Kind> kinds;
    for (const Segment& segment : segments) kinds.push_back(segment.kind);
    return kinds;
  }
};

inline Pattern::Segment parse_segment(std::string_view segment, std::string_view pattern) {
  const auto refuse = [&](const char* why) { throw std::invalid_argument("route " + std::string(pattern) + why); };
  if (segment.empty()) refuse(": an empty segment");
  if (segment.front() != '<') {
    if (segment.find_first_of("<>") != segment.npos) refuse(": a parameter must fill its segment");
    return {Pattern::Kind::text, std::string(segment)};
  }
  if (segment.back() != '>') refuse(": a parameter must fill its segment");
  segment = segment.substr(1, segment.size() - 2);
  const std::size_t colon = segment.find(':');
  const std::string_view type = colon == segment.npos ? "string" : segment.substr(0, colon);
  const std::string name(colon == segment.npos ? segment : segment.substr(colon + 1));
  if (name.empty() || name.find_first_of("<>:") != name.npos) refuse(": a parameter without a proper name");
  if (type == "int") return {Pattern::Kind::integer, name};
  if (type == "string") return {Pattern::Kind::string, name};
  if (type != "path") refuse(": parameters are int, string or path");
  return {Pattern::Kind::rest, name};
}

inline Pattern parse_pattern(std::string_view text) {
  if (!text.starts_with('/')) throw std::invalid_argument("route " + std::string(text) + ": must start with a slash");
  Pattern pattern;
  pattern.slash = text.ends_with('/');
  std::string_view rest = text.substr(1);
  while (!rest.empty()) {
    const std::string_view segment = rest.substr(0, rest.find('/'));
    if (!pattern.segments.empty() && pattern.segments.back().kind == Pattern::Kind::rest) {
      throw std::invalid_argument("route " + std::string(text) + ": a path parameter must be last");
    }
    pattern.segments.push_back(parse_segment(segment, text));
    rest.remove_prefix(std::min(rest.size(), segment.size() + 1));
  }
  return pattern;
}

// A request's path, split and decoded. Its memory is the request's.
struct SplitPath {
  std::span<const std::string_view> segments;  // without the empty one after a last slash
  bool slash = false;                          // ends with a slash
  // From segment `index` to the end; with the last slash, unless the pattern ends with one.
  std::string_view tail(std::size_t index, bool pattern_slash) const noexcept {
    const std::string_view last = segments.back();
    const char* begin = segments[index].data();
    const char* end = last.data() + last.size() + (slash && !pattern_slash ? 1 : 0);
    return {begin, static_cast<std::size_t>(end - begin)};
  }
};

inline SplitPath split_path(const Request& request) {
  std::string_view raw = request.path().substr(1);  // the caller has checked that it starts with a slash
  SplitPath path{{}, raw.empty() || raw.ends_with('/')};
  if (raw.ends_with('/')) raw.remove_suffix(1);
  if (raw.empty() && request.path().size() == 1) return path;
  const auto count = static_cast<std::size_t>(std::count(raw.begin(), raw.end(), '/')) + 1;
  auto* segments = static_cast<std::string_view*>(request.alloc(count * sizeof(std::string_view)));
  const bool encoded = raw.find('%') != raw.npos;
  char* at = encoded ? static_cast<char*>(request.alloc(raw.size() + 1)) : nullptr;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view segment = raw.substr(0, raw.find('/'));
    raw.remove_prefix(std::min(raw.size(), segment.size() + 1));
    if (encoded) {
      const std::size_t size = percent_decode_into(segment, Plus::plus, at);
      new (&segments[i]) std::string_view(at, size);
      at += size;
      *at++ = '/';  // so that tail() can span several segments, as it does in the raw path
    } else {
      new (&segments[i]) std::string_view(segment);
    }
  }
  path.segments = {segments, count};
  return path;
}

inline bool is_int(std::string_view text) noexcept {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && text.front() != '-' && error == std::errc() && end == text.data() + text.size();
}

// Compares the segments only: what a last slash means is decided by the router.
inline bool segments_match(const Pattern& pattern, const SplitPath& path) noexcept {
  for (std::size_t i = 0; i < pattern.segments.size(); ++i) {
    if (i >= path.segments.size() || path.segments[i].empty()) return false;
    const Pattern::Segment& wanted = pattern.segments[i];
    if (wanted.kind == Pattern::Kind::rest) return true;
    if (wanted.kind == Pattern::Kind::text && wanted.text != path.segments[i]) return false;
    if (wanted.kind == Pattern::Kind::integer && !is_int(path.segments[i])) return false;
  }
  return pattern.segments.size() == path.segments.size();
}

}  // namespace detail

class Router {
 public:
  Router& get(std::string_view pattern, App app) { return add({"GET"}, pattern, std::move(app)); }
  Router& post(std::string_view pattern, App app) { return add({"POST"}, pattern, std::move(app)); }
  Router& put(std::string_view pattern, App app) { return add({"PUT"}, pattern, std::move(app)); }
  Router& patch(std::string_view pattern, App app) { return add({"PATCH"}, pattern, std::move(app)); }
  Router& del(std::string_view pattern, App app) { return add({"DELETE"}, pattern, std::move(app)); }
  Router& any(std::string_view pattern, App app) { return add({}, pattern, std::move(app)); }  // every method
  // Throws std::invalid_argument for a pattern that cannot be read.
  Router& add(std::vector<std::string> methods, std::string_view pattern, App app) {
    auto route = std::make_shared<const Route>(std::move(methods), detail::parse_pattern(pattern), std::move(app));
    const auto more_exact = [](const auto& left, const auto& right) {
      return left->pattern.kinds() < right->pattern.kinds();
    };
    const auto place = std::upper_bound(routes_.begin(), routes_.end(), route, more_exact);
    routes_.insert(place, std::move(route));
    return *this;
  }
  Router& strict_slashes(bool strict) {
    strict_slashes_ = strict;
    return *this;
  }
  // Answers what no pattern matches; without it, the answer is a plain 404.
  Router& otherwise(App app) {
    otherwise_ = std::make_shared<const App>(std::move(app));
    return *this;
  }

  Response operator()(const Request& request) const {
    if (!request.path().starts_with('/')) return not_found(request);  // "*"
    const detail::SplitPath path = detail::split_path(request);
    const Found found = find(path, request.method());
    if (found.route != nullptr) return call(*found.route, path, request);
    if (found.redirect) return redirect(request);
    if (found.methods.empty()) return not_found(request);
    if (request.method() == "OPTIONS") return Response().header("Allow", allow(found.methods));
    return Response::text("Method Not Allowed\n", 405).header("Allow", allow(found.methods));
  }

 private:
  struct Route {
    Route(std::vector<std::string> methods, detail::Pattern pattern, App app)
        : methods(std::move(methods)), pattern(std::move(pattern)), app(std::move(app)) {}
    bool serves(std::string_view method) const noexcept {
      return methods.empty() || std::find(methods.begin(), methods.end(), method) != methods.end();
    }
    std::vector<std::string> methods;  // empty: all
    detail::Pattern pattern;
    App app;
  };
  struct Found {
    const Route* route = nullptr;
    bool redirect = false;
    std::vector<std::string_view> methods;  // those that other routes serve on this path
  };

  Found find(const detail::SplitPath& path, std::string_view method) const {
    Found found;
    const Route* get = nullptr;
    for (const auto& route : routes_) {
      if (!detail::segments_match(route->pattern, path)) continue;
      const bool rest =
          !route->pattern.segments.empty() && route->pattern.segments.back().kind == detail::Pattern::Kind::rest;
      const bool exact = !strict_slashes_ || route->pattern.slash == path.slash || (rest && !route->pattern.slash);
      if (!exact && path.slash) continue;  // /a does not answer /a/
      if (exact && route->serves(method)) return {.route = route.get(), .methods = {}};
      if (exact && get == nullptr && method == "HEAD" && route->serves("GET")) get = route.get();
      if (!exact && (route->serves(method) || (method == "HEAD" && route->serves("GET")))) found.redirect = true;
      found.methods.insert(found.methods.end(), route->methods.begin(), route->methods.end());
    }
    found.route = get;
    return found;
  }

  static Response call(const Route& route, const detail::SplitPath& path, const Request& request) {
    const auto& segments = route.pattern.segments;
    const auto is_parameter = [](const auto& segment) { return segment.kind != detail::Pattern::Kind::text; };
    const auto count = static_cast<std::size_t>(std::count_if(segments.begin(), segments.end(), is_parameter));
    if (count == 0) return route.app(request);
    auto* parameters = static_cast<PathParameter*>(request.alloc(count * sizeof(PathParameter)));
    std::size_t filled = 0;
    for (std::size_t i = 0; i < segments.size(); ++i) {
      if (!is_parameter(segments[i])) continue;
      const bool rest = segments[i].kind == detail::Pattern::Kind::rest;
      const std::string_view value = rest ? path.tail(i, route.pattern.slash) : path.segments[i];
      new (&parameters[filled++]) PathParameter{segments[i].text, value};
    }
    // In the request's own memory, because a stream may have captured it by reference.
    auto* routed = new (request.alloc(sizeof(Request))) Request(request.with({parameters, count}));
    return route.app(*routed);
  }

  // Encodes every byte that may not stand in a path: a browser would read "/\host" as another server's address.
  static Response redirect(const Request& request) {
    std::string location = percent_encode(request.full_path(), "/%!$&'()*+,;=:@") + "/";
    if (!request.query().empty()) location.append("?").append(request.query());
    return Response::redirect(std::move(location), 308);
  }

  static std::string allow(std::vector<std::string_view> methods) {
    if (std::find(methods.begin(), methods.end(), "GET") != methods.end()) methods.push_back("HEAD");
    methods.push_back("OPTIONS");
    std::sort(methods.begin(), methods.end());
    methods.erase(std::unique(methods.begin(), methods.end()), methods.end());
    std::string list;
    for (const std::string_view method : methods) list.append(list.empty() ? "" : ", ").append(method);
    return list;
  }

  Response not_found(const Request& request) const {
    return otherwise_ ? (*otherwise_)(request) : Response::text("Not Found\n", 404);
  }

  // Shared, because a Router is copied into each App that holds it.
  std::vector<std::shared_ptr<const Route>> routes_;
  std::shared_ptr<const App> otherwise_;
  bool strict_slashes_ = true;
};

}  // namespace narwhal
