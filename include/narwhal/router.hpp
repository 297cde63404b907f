// Router: an app that chooses another app by path and method.
//   /users/<int:id>       digits that fit an int64_t
//   /users/<string:name>  one segment, not empty; <name> is the same
//   /files/<path:rest>    the rest of the path, not empty, slashes included; allowed only as the last segment
// Order      the more exact pattern wins (text, int, string, path, mount), segment by segment; then the earlier one.
// Decoding   segments are percent-decoded after the path was split: %2F does not separate segments.
// Slashes    strict, as in Flask: the pattern /a/ also answers /a, with a 308 to /a/; the pattern /a does not answer
//            /a/. With strict_slashes(false) either pattern answers either path. slashes() decides it for one
//            route. All of this is after the server's own `trailing_slash`, if the plugin's route has it.
// Methods    GET also serves HEAD; OPTIONS is answered with Allow; another method gets 405 with Allow.
// Mounts     mount("/admin", router) gives everything below to another app, which sees a longer request.prefix().
// Names      get(...).name("user") lets url_for(request, "user", {{"id", 42}}) write the path (url.hpp).
// Pages      error_page() and on_error() answer what a route or a mounted router throws as an HttpError, and the
//            router's own 404 and 405. A page for 500 also answers other exceptions, which are logged.
// Bodies     if a route has asked for stream_body(), the plugin's mount gets NARWHAL_STREAM_BODY (app.hpp). Then the
//            bodies of the other routes are collected up to body_max(), so that body() works there.
// Ownership  copies share the apps, not the list of routes. Parameters are views, valid as long as the request.
// Errors     add() and its short forms throw std::invalid_argument for a pattern that cannot be read; what a route's
//            app throws passes through, except for what a page answers.
// Threads    add routes first, from one thread, and do not move the router afterwards; then any number of threads may
//            call it.
// Source     the patterns are those of Flask and Werkzeug.
#pragma once

#include <narwhal/app_type.hpp>
#include <narwhal/collect_body.hpp>
#include <narwhal/error_pages.hpp>
#include <narwhal/route_tree.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace narwhal {

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
    detail::Pattern parsed = detail::parse_pattern(pattern);
    tree_.add(parsed, static_cast<std::uint32_t>(routes_.size()));
    routes_.push_back({std::move(methods), std::move(parsed), std::move(app)});
    return *this;
  }
  // Everything at `prefix` and below it, except for what routes of this router match more exactly. The app's own
  // patterns begin after the prefix. With `name`, url_for() finds the names of a router that is mounted so as
  // "name.its_name". Routes that are added to it later are not seen.
  Router& mount(std::string_view prefix, App app) { return mount(prefix, std::move(app), Route::Kind::mount); }
  Router& mount(std::string_view prefix, Router router, std::string_view name = "") {
    const detail::Pattern parsed = detail::parse_pattern(prefix);
    for (const Named& inner : router.names_) {
      detail::Pattern whole = parsed;
      for (const detail::Pattern::Segment& segment : inner.pattern.segments) whole.segments.push_back(segment);
      whole.slash = inner.pattern.slash;
      const std::string start = name.empty() ? "" : std::string(name) + ".";
      add_name(start + inner.name, std::move(whole));
    }
    return mount(prefix, App(std::move(router)), Route::Kind::router);
  }

  // Of the route that was added last: a name for url_for(). Throws std::invalid_argument for one that is taken.
  Router& name(std::string_view name) {
    add_name(std::string(name), last("name").pattern);
    return *this;
  }
  // Of the route that was added last: its app reads the body with read() while it arrives.
  Router& stream_body() {
    last("stream_body").streams = true;
    streams_bodies_ = true;
    return *this;
  }
  // How many bytes of a body are collected for a route without stream_body(); more are answered 413. Only where some
  // route has it: otherwise the server collects, within its own limit.
  Router& body_max(std::size_t bytes) {
    if (bytes == 0) throw std::invalid_argument("body_max(0): no body could be collected");
    body_max_ = bytes;
    return *this;
  }
  bool streams_bodies() const noexcept { return streams_bodies_; }

  // Of the route that was added last, whatever strict_slashes() says of the others.
  enum class Slashes : unsigned char { strict, tolerant };
  Router& slashes(Slashes slashes) {
    last("slashes").is_strict = slashes == Slashes::strict;
    return *this;
  }
  // Of every route of this router that slashes() does not decide. Routers that are mounted here have their own.
  Router& strict_slashes(bool strict) {
    strict_slashes_ = strict;
    return *this;
  }
  // Answers what no pattern matches; without it, the answer is that of an HttpError 404.
  Router& otherwise(App app) {
    streams_bodies_ = streams_bodies_ || app.streams_bodies();
    otherwise_ = std::move(app);
    return *this;
  }
  // Answers errors of this status. A page that leaves its status at 200 is sent with the error's, and with its fields.
  Router& error_page(int status, App page) {
    pages_.set(status, std::move(page));
    return *this;
  }
  // Answers errors of every status without a page: called with the request and the HttpError.
  Router& on_error(ErrorHandler handler) {
    pages_.set(std::move(handler));
    return *this;
  }

  Response operator()(const Request& request) const try { return answer(request); } catch (const Gone&) {
    throw;
  } catch (const HttpError& error) {
    return answer_error(request, error);
  } catch (...) {
    if (pages_for(request, 500) == nullptr) throw;
    return answer_error(request, HttpError(500).because(detail::reason_now()));
  }

  // For url_for(): the pattern with this name, or null.
  const detail::Pattern* pattern_of(std::string_view name) const noexcept {
    for (const Named& named : names_) {
      if (named.name == name) return &named.pattern;
    }
    return nullptr;
  }

 private:
  struct Route {
    enum class Kind : unsigned char { app, mount, router };
    bool serves(std::string_view method) const noexcept {
      for (const std::string& served : methods) {
        if (served == method) return true;
      }
      return methods.empty();
    }
    std::vector<std::string> methods;  // empty: all
    detail::Pattern pattern;
    App app;
    Kind kind = Kind::app;
    bool streams = false;
    std::optional<bool> is_strict{};  // else as the router
  };
  struct Named {
    std::string name;
    detail::Pattern pattern;
  };
  struct Found {
    const Route* route = nullptr;
    std::size_t depth = 0;
    bool redirect = false;
    std::vector<std::string_view> methods = {};  // those that other routes serve on this path
  };

  Router& mount(std::string_view prefix, App app, Route::Kind kind) {
    detail::Pattern parsed = detail::parse_pattern(prefix);
    if (parsed.has_rest()) throw std::invalid_argument("mount " + std::string(prefix) + ": a path parameter");
    streams_bodies_ = streams_bodies_ || app.streams_bodies();
    tree_.add_mount(parsed, static_cast<std::uint32_t>(routes_.size()));
    routes_.push_back({{}, std::move(parsed), std::move(app), kind});
    return *this;
  }
  Route& last(const char* what) {
    if (routes_.empty() || routes_.back().kind != Route::Kind::app) {
      throw std::logic_error(std::string(what) + "() belongs after the route that it is for");
    }
    return routes_.back();
  }
  void add_name(std::string name, detail::Pattern pattern) {
    if (pattern_of(name) != nullptr) throw std::invalid_argument("two routes are named '" + name + "'");
    names_.push_back({std::move(name), std::move(pattern)});
  }

  Response answer(const Request& request) const {
    if (!request.path().starts_with('/')) return not_found(request);  // "*"
    const detail::SplitPath path(request);
    const Found found = find(path, request.method());
    if (found.route != nullptr) return call(*found.route, found.depth, path, request);
    if (found.redirect) return redirect(request);
    if (found.methods.empty()) return not_found(request);
    if (request.method() == "OPTIONS") return Response().header("Allow", allow(found.methods));
    return answer_error(request, HttpError(405).header("Allow", allow(found.methods)));
  }

  Found find(const detail::SplitPath& path, std::string_view method) const {
    Found found;
    const Route* get = nullptr;
    tree_.visit(path.segments(), [&](std::uint32_t number, std::size_t depth) {
      const Route& route = routes_[number];
      if (route.kind != Route::Kind::app) {
        if (get == nullptr) found = {.route = &route, .depth = depth};
        return true;
      }
      const bool exact = !route.is_strict.value_or(strict_slashes_) || route.pattern.slash == path.slash() ||
                         (route.pattern.has_rest() && !route.pattern.slash);
      if (!exact && path.slash()) return false;  // /a does not answer /a/
      if (exact && route.serves(method)) {
        found = {.route = &route};
        return true;
      }
      if (exact && get == nullptr && method == "HEAD" && route.serves("GET")) get = &route;
      if (!exact && (route.serves(method) || (method == "HEAD" && route.serves("GET")))) found.redirect = true;
      for (const std::string& served : route.methods) found.methods.push_back(served);
      return false;
    });
    if (found.route == nullptr) found.route = get;
    return found;
  }

  // The request as an app of this router gets it. In the request's own memory, because a stream or a deferred answer may
  // use it later.
  detail::Routing& new_routing(const Request& request) const {
    auto* const routing = new (request.alloc(sizeof(detail::Routing))) detail::Routing{.outer = request.routing()};
    routing->router = this;
    return *routing;
  }
  static const Request& with(const Request& request, const detail::Routing& routing) {
    return *new (request.alloc(sizeof(Request))) Request(request.with(routing));
  }

  Response call(const Route& route, std::size_t depth, const detail::SplitPath& path, const Request& request) const {
    detail::Routing& routing = new_routing(request);
    routing.parameters = parameters(route, path, request);
    if (route.kind != Route::Kind::app) routing.prefix = longer_prefix(path, depth, request);
    if (route.kind == Route::Kind::router) {
      routing.collect_max = collect_max(request);  // its routes decide, and its pages answer a body that is too large
    } else if (!route.streams && !route.app.streams_bodies()) {
      collect_body(request, routing);
    }
    return route.app(with(request, routing));
  }
  // Up to how many bytes of a body this router collects; 0: it does not. A router in a router that does has to.
  std::size_t collect_max(const Request& request) const noexcept {
    if (streams_bodies_) return body_max_;
    return request.routing() == nullptr ? 0 : request.routing()->collect_max;
  }
  void collect_body(const Request& request, detail::Routing& routing) const {
    if (const std::size_t most = collect_max(request)) routing.body = detail::collect_body(request, most);
  }

  static std::span<const PathParameter> parameters(const Route& route, const detail::SplitPath& path,
                                                   const Request& request) {
    const auto& segments = route.pattern.segments;
    std::size_t count = 0;
    for (const auto& segment : segments) count += segment.kind != detail::Pattern::Kind::text ? 1 : 0;
    if (count == 0) return {};
    auto* const parameters = static_cast<PathParameter*>(request.alloc(count * sizeof(PathParameter)));
    std::size_t filled = 0;
    for (std::size_t i = 0; i < segments.size(); ++i) {
      if (segments[i].kind == detail::Pattern::Kind::text) continue;
      const bool rest = segments[i].kind == detail::Pattern::Kind::rest;
      const std::string_view value = rest ? path.tail(i, route.pattern.slash) : path.segments()[i];
      new (&parameters[filled++]) PathParameter{segments[i].text, value};
    }
    return {parameters, count};
  }

  // The prefix with the mount's segments, decoded.
  static const std::string_view* longer_prefix(const detail::SplitPath& path, std::size_t depth,
                                               const Request& request) {
    std::size_t size = request.prefix().size();
    for (std::size_t i = 0; i < depth; ++i) size += 1 + path.segments()[i].size();
    char* const text = static_cast<char*>(request.alloc(size + 1));
    char* at = text + request.prefix().copy(text, request.prefix().size());
    for (std::size_t i = 0; i < depth; ++i) {
      *at++ = '/';
      at += path.segments()[i].copy(at, path.segments()[i].size());
    }
    return new (request.alloc(sizeof(std::string_view))) std::string_view(text, size);
  }

  // Encodes every byte that may not stand in a path: a browser would read "/\host" as another server's address.
  static Response redirect(const Request& request) {
    std::string location = percent_encode(request.full_path(), "/%!$&'()*+,;=:@") + "/";
    if (!request.query().empty()) location.append("?").append(request.query());
    return Response::redirect(std::move(location), 308);
  }

  // The methods of an Allow field: in order, each once.
  static std::string allow(const std::vector<std::string_view>& served) {
    std::vector<std::string_view> methods;
    const auto add = [&](std::string_view method) {
      auto at = methods.begin();
      while (at != methods.end() && *at < method) ++at;
      if (at == methods.end() || *at != method) methods.insert(at, method);
    };
    add("OPTIONS");
    for (const std::string_view method : served) {
      add(method);
      if (method == "GET") add("HEAD");
    }
    std::string list;
    for (const std::string_view method : methods) list.append(list.empty() ? "" : ", ").append(method);
    return list;
  }

  Response not_found(const Request& request) const {
    if (!otherwise_) return answer_error(request, HttpError(404));
    detail::Routing& routing = new_routing(request);
    if (!otherwise_.streams_bodies()) collect_body(request, routing);
    return otherwise_(with(request, routing));
  }

  Response answer_error(const Request& request, const HttpError& error) const {
    if (!error.log_text().empty()) log_error(request, error.log_text());
    const detail::ErrorPages* const pages = pages_for(request, error.status());
    return pages != nullptr ? pages->answer(with(request, new_routing(request)), error) : Response::error(error);
  }
  // This router's, or those of the routers that it is mounted in.
  const detail::ErrorPages* pages_for(const Request& request, int status) const noexcept {
    if (pages_.answers(status)) return &pages_;
    for (const detail::Routing* at = request.routing(); at != nullptr; at = at->outer) {
      if (at->router != nullptr && at->router->pages_.answers(status)) return &at->router->pages_;
    }
    return nullptr;
  }

  std::vector<Route> routes_;
  detail::RouteTree tree_;
  std::vector<Named> names_;
  detail::ErrorPages pages_;
  App otherwise_;
  std::size_t body_max_ = 1024 * 1024;
  bool strict_slashes_ = true, streams_bodies_ = false;
};

}  // namespace narwhal
