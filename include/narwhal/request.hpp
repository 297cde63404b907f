// Request: what the client asks. A small value that points into the server's memory.
// Ownership  every view is valid until the response is finished, for a deferred one too. A Request may be copied;
//            capture it by value in what runs later (streams, deferred answers).
// Errors     Gone when the client has left; HttpError for what the client should have sent in another way;
//            std::logic_error for a call that this plugin may not make; std::runtime_error when the body cannot be read;
//            std::bad_alloc.
// Threads    any, but one at a time for read(), variable() and alloc(). read() only until the handler has returned.
// Units      sizes are in bytes.
#pragma once

#include <narwhal/plugin.h>
#include <narwhal/headers.hpp>
#include <narwhal/http_error.hpp>

#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace narwhal {

// Thrown when nobody waits for the answer any more: the client has left, or the server has answered in the plugin's
// place. The server does not log it.
struct Gone : std::exception {
  const char* what() const noexcept override { return "the client is gone"; }
};

using QueryPairs = std::vector<std::pair<std::string, std::string>>;

// "a=1&b=x%20y+z" as pairs, decoded, in order. A pair without '=' has an empty value; a name may come several times.
inline QueryPairs decode_query(std::string_view query) {
  QueryPairs pairs;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(pair.size() == query.size() ? pair.size() : pair.size() + 1);
    if (pair.empty()) continue;
    const std::string_view name = pair.substr(0, pair.find('='));
    const std::string_view value = name.size() == pair.size() ? std::string_view() : pair.substr(name.size() + 1);
    pairs.emplace_back(percent_decode(name, Plus::space), percent_decode(value, Plus::space));
  }
  return pairs;
}

// One value out of a router's pattern: "id" of /users/<int:id>.
struct PathParameter {
  std::string_view name, value;
};

class Router;  // include <narwhal/router.hpp>

namespace detail {

// The body of a streamed request, collected for a route that has not asked for the stream.
struct CollectedBody {
  std::string_view bytes;
  std::size_t read = 0;
};

// What a router knows of a request on its way to an app. In the request's memory; `outer` is that of the router around.
struct Routing {
  const Routing* outer = nullptr;
  std::span<const PathParameter> parameters = {};
  const std::string_view* prefix = nullptr;  // null: the outer one
  CollectedBody* body = nullptr;             // the same
  const Router* router = nullptr;
  std::size_t collect_max = 0;  // for the router that is called: it is to collect bodies up to this size

  // The prefix that holds here; `otherwise` when no router has set one.
  static std::string_view prefix_at(const Routing* at, std::string_view otherwise) noexcept {
    for (; at != nullptr; at = at->outer) {
      if (at->prefix != nullptr) return *at->prefix;
    }
    return otherwise;
  }
};

// The text as a T: a number, bool or std::string. `what` is what has the text: "query parameter".
template <class T>
T value_of(const char* what, std::string_view name, std::string_view text) {
  static_assert(std::same_as<T, std::string> || std::is_arithmetic_v<T>, "a number, bool or std::string");
  if constexpr (std::same_as<T, std::string>) {
    return std::string(text);
  } else {
    std::optional<T> value;
    if constexpr (std::same_as<T, bool>) {
      value = parse_bool(text);
    } else {
      value = parse_number<T>(text);
    }
    const char* const wanted = std::same_as<T, bool> ? "true or false"
                               : std::integral<T>    ? "an integer that is not too large"
                                                     : "a number";
    if (!value) throw HttpError(400, std::string("the ") + what + " '" + std::string(name) + "' must be " + wanted);
    return *value;
  }
}

}  // namespace detail

class Request {
 public:
  Request(const narwhal_host* host, narwhal_exchange* exchange) noexcept
      : host_(host), exchange_(exchange), head_(host->request(exchange)) {}

  std::string_view method() const noexcept { return view_of(head_->method); }
  std::string_view target() const noexcept { return view_of(head_->target); }   // as sent
  std::string_view full_path() const noexcept { return view_of(head_->path); }  // not decoded, prefix included
  // Where the app is mounted: "" or "/shop". Decoded; a router that has mounted the app has added its part.
  std::string_view prefix() const noexcept { return detail::Routing::prefix_at(routing_, mount_prefix()); }
  std::string_view mount_prefix() const noexcept { return view_of(head_->prefix); }  // the plugin's own
  // Not decoded, below the prefix; "/" for the prefix itself.
  std::string_view path() const noexcept {
    std::string_view path = full_path();
    if (const std::size_t size = prefix_size(path, prefix()); size != path.npos) path.remove_prefix(size);
    return path.empty() ? "/" : path;
  }
  std::string_view scheme() const noexcept { return view_of(head_->scheme); }
  std::string_view authority() const noexcept { return view_of(head_->authority); }
  std::string_view protocol() const noexcept { return view_of(head_->protocol); }
  std::string_view peer() const noexcept { return view_of(head_->peer); }  // empty on a Unix socket
  std::uint16_t peer_port() const noexcept { return head_->peer_port; }
  // The client's address as the trusted proxies in front of the server report it; else the peer's.
  std::string_view client() const noexcept {
    return NARWHAL_HAS(head_, narwhal_request, client) ? view_of(head_->client) : peer();
  }

  // The address that the request came in by, as bound: "0.0.0.0", "::1"; empty on a Unix socket.
  std::string_view listener() const noexcept {
    return NARWHAL_HAS(head_, narwhal_request, listener) ? view_of(head_->listener) : "";
  }
  std::string_view listener_port() const noexcept {
    return NARWHAL_HAS(head_, narwhal_request, listener_port) ? view_of(head_->listener_port) : "";
  }

  std::string_view query() const noexcept { return view_of(head_->query); }  // raw
  // The first parameter of this name, decoded.
  std::optional<std::string> query(std::string_view name) const {
    for (auto& [key, value] : query_pairs()) {
      if (key == name) return std::move(value);
    }
    return std::nullopt;
  }
  QueryPairs query_pairs() const { return decode_query(query()); }
  // The same as a value of type T: a number, bool or std::string. `otherwise` when there is none of this name. Throws
  // HttpError 400 for text that is not of this type.
  template <class T>
  T query(std::string_view name, T otherwise) const {
    const std::optional<std::string> text = query(name);
    return text ? detail::value_of<T>("query parameter", name, *text) : std::move(otherwise);
  }
  std::string query(std::string_view name, const char* otherwise) const { return query<std::string>(name, otherwise); }
  // The same for one that the client must send: without it, HttpError 400.
  template <class T>
  T query(std::string_view name) const {
    const std::optional<std::string> text = query(name);
    if (!text) throw HttpError(400, "the query parameter '" + std::string(name) + "' is missing");
    return detail::value_of<T>("query parameter", name, *text);
  }

  RequestHeaders headers() const noexcept { return {head_->fields, head_->field_count}; }
  std::optional<std::string_view> header(std::string_view name) const noexcept {
    const narwhal_bytes value = host_->header(exchange_, bytes_of(name));
    return value.data == nullptr ? std::nullopt : std::optional(view_of(value));
  }
  // A CGI variable (RFC 3875): "PATH_INFO", "HTTP_HOST", ... Empty when there is none of this name.
  std::string_view variable(std::string_view name) const noexcept {
    return view_of(host_->variable(exchange_, bytes_of(name)));
  }

  // What the access log shows for %({name}e)s, in place of the variable of that name. Copied. Throws std::bad_alloc.
  void log_value(std::string_view name, std::string_view value) const {
    if (host_->log_value(exchange_, bytes_of(name), bytes_of(value)) != NARWHAL_OK) throw std::bad_alloc();
  }

  // A parameter of the router's pattern, decoded. Throws std::out_of_range for a name that the pattern lacks.
  std::string_view parameter(std::string_view name) const {
    for (const detail::Routing* at = routing_; at != nullptr; at = at->outer) {
      for (const PathParameter& parameter : at->parameters) {
        if (parameter.name == name) return parameter.value;
      }
    }
    throw std::out_of_range("no path parameter " + std::string(name));
  }
  // The same as a number. Throws HttpError 404 when it is not a number of this type, because there is no such path then.
  template <std::integral Number>
  Number parameter(std::string_view name) const {
    const std::optional<Number> number = parse_number<Number>(parameter(name));
    if (!number) throw HttpError(404);
    return *number;
  }

  // The body's size in bytes; nothing while a streamed body of unknown length is still arriving.
  std::optional<std::uint64_t> body_size() const noexcept {
    if (const detail::CollectedBody* collected = collected_body()) return collected->bytes.size();
    return head_->body_size < 0 ? std::nullopt : std::optional(static_cast<std::uint64_t>(head_->body_size));
  }
  // The whole body. With NARWHAL_STREAM_BODY it throws std::logic_error: use read(). A router collects it for routes
  // without stream_body().
  std::string_view body() const {
    if (const detail::CollectedBody* collected = collected_body()) return collected->bytes;
    narwhal_bytes body{};
    check_read(host_->body(exchange_, &body), "the body comes as a stream: use read()");
    return view_of(body);
  }
  // Reads the next bytes of the body; returns how many, 0 at its end. Waits for the client when the body is streamed.
  std::size_t read(std::span<char> buffer) const {
    if (detail::CollectedBody* collected = collected_body()) {
      const std::size_t left = collected->bytes.size() - collected->read;
      const std::size_t size = left < buffer.size() ? left : buffer.size();
      if (size > 0) std::memcpy(buffer.data(), collected->bytes.data() + collected->read, size);
      collected->read += size;
      return size;
    }
    const std::int64_t size = host_->read_body(exchange_, buffer.data(), buffer.size());
    if (size < 0) check_read(static_cast<int>(size), "the body cannot be read now");
    return static_cast<std::size_t>(size);
  }

  bool cancelled() const noexcept { return host_->gone(exchange_) != 0; }
  // When the server answers 504 in the plugin's place; nothing when no `timeout` is set. Time in which read() or a
  // write waits for the client moves it on. Clock is std::chrono::steady_clock, or another one of CLOCK_MONOTONIC that
  // counts nanoseconds; named by the caller, because <chrono> would double the time to compile this header.
  template <class Clock>
  std::optional<typename Clock::time_point> deadline() const noexcept {
    static_assert(Clock::period::num == 1 && Clock::period::den == 1'000'000'000, "a clock of nanoseconds");
    if (head_->deadline_ns == 0) return std::nullopt;
    return typename Clock::time_point(typename Clock::duration(head_->deadline_ns));
  }

  // Memory that is valid as long as the request, aligned for any type; the server frees it. Throws std::bad_alloc.
  void* alloc(std::size_t size) const {
    void* memory = host_->alloc(exchange_, size);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }
  // Sends what has been answered so far, and the handler continues: for work that no client waits for.
  void flush() const noexcept {
    if (NARWHAL_HAS(host_, narwhal_host, flush)) host_->flush(exchange_);
  }

  // For routers: the same request with `routing`, which must be valid as long as the request.
  Request with(const detail::Routing& routing) const noexcept {
    Request routed = *this;
    routed.routing_ = &routing;
    return routed;
  }
  const detail::Routing* routing() const noexcept { return routing_; }

  const narwhal_host* host() const noexcept { return host_; }
  narwhal_exchange* exchange() const noexcept { return exchange_; }

 private:
  detail::CollectedBody* collected_body() const noexcept {
    for (const detail::Routing* at = routing_; at != nullptr; at = at->outer) {
      if (at->body != nullptr) return at->body;
    }
    return nullptr;
  }
  static void check_read(int code, const char* state_text) {
    if (code == NARWHAL_OK) return;
    if (code == NARWHAL_GONE) throw Gone();
    if (code == NARWHAL_STATE) throw std::logic_error(state_text);
    if (code == NARWHAL_AGAIN) throw std::logic_error("an inline plugin may not wait for the body");
    throw std::runtime_error("the body could not be read");
  }

  const narwhal_host* host_;
  narwhal_exchange* exchange_;
  const narwhal_request* head_;
  const detail::Routing* routing_ = nullptr;
};

}  // namespace narwhal
