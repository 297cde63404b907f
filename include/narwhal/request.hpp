// Request: what the client asks. A small value that points into the server's memory.
// Ownership  every view is valid until the response is finished, for a deferred one too. A Request may be copied;
//            capture it by value in what runs later (streams, deferred answers).
// Errors     Gone when the client has left; std::logic_error for a call that this plugin may not make;
//            std::runtime_error when the body cannot be read; std::bad_alloc.
// Threads    any, but one at a time for read(), variable() and alloc(). read() only until the handler has returned.
// Units      sizes are in bytes.
#pragma once

#include <narwhal/plugin.h>
#include <narwhal/headers.hpp>

#include <charconv>
#include <chrono>
#include <cstdint>
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

class Request {
 public:
  Request(const narwhal_host* host, narwhal_exchange* exchange) noexcept
      : host_(host), exchange_(exchange), head_(host->request(exchange)) {}

  std::string_view method() const noexcept { return view_of(head_->method); }
  std::string_view target() const noexcept { return view_of(head_->target); }   // as sent
  std::string_view full_path() const noexcept { return view_of(head_->path); }  // not decoded, prefix included
  std::string_view prefix() const noexcept { return view_of(head_->prefix); }   // "" or "/shop"
  std::string_view path() const noexcept {                                      // not decoded, below the prefix
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

  std::string_view query() const noexcept { return view_of(head_->query); }  // raw
  // The first parameter of this name, decoded.
  std::optional<std::string> query(std::string_view name) const {
    for (auto& [key, value] : query_pairs()) {
      if (key == name) return std::move(value);
    }
    return std::nullopt;
  }
  QueryPairs query_pairs() const { return decode_query(query()); }

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
    for (const PathParameter& parameter : parameters_) {
      if (parameter.name == name) return parameter.value;
    }
    throw std::out_of_range("no path parameter " + std::string(name));
  }
  // The same as a number. Throws std::out_of_range when it is not a number of this type.
  template <std::integral Number>
  Number parameter(std::string_view name) const {
    const std::string_view text = parameter(name);
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) {
      throw std::out_of_range("path parameter " + std::string(name) + " is not a number of this type");
    }
    return number;
  }

  // The body's size in bytes; nothing while a streamed body of unknown length is still arriving.
  std::optional<std::uint64_t> body_size() const noexcept {
    return head_->body_size < 0 ? std::nullopt : std::optional(static_cast<std::uint64_t>(head_->body_size));
  }
  // The whole body. With NARWHAL_STREAM_BODY it throws std::logic_error: use read().
  std::string_view body() const {
    narwhal_bytes body{};
    check_read(host_->body(exchange_, &body), "the body comes as a stream: use read()");
    return view_of(body);
  }
  // Reads the next bytes of the body; returns how many, 0 at its end. Waits for the client when the body is streamed.
  std::size_t read(std::span<char> buffer) const {
    const std::int64_t size = host_->read_body(exchange_, buffer.data(), buffer.size());
    if (size < 0) check_read(static_cast<int>(size), "the body cannot be read now");
    return static_cast<std::size_t>(size);
  }

  bool cancelled() const noexcept { return host_->gone(exchange_) != 0; }
  // When the server answers 504 in the plugin's place; nothing when no `timeout` is set. Time in which read() or a
  // write waits for the client moves it on.
  std::optional<std::chrono::steady_clock::time_point> deadline() const noexcept {
    if (head_->deadline_ns == 0) return std::nullopt;
    return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(head_->deadline_ns));
  }

  // Memory that is valid as long as the request, aligned for any type; the server frees it. Throws std::bad_alloc.
  void* alloc(std::size_t size) const {
    void* memory = host_->alloc(exchange_, size);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }
  // The same request with a router's parameters, which must be valid as long as the request.
  Request with(std::span<const PathParameter> parameters) const noexcept {
    Request routed = *this;
    routed.parameters_ = parameters;
    return routed;
  }

  const narwhal_host* host() const noexcept { return host_; }
  narwhal_exchange* exchange() const noexcept { return exchange_; }

 private:
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
  std::span<const PathParameter> parameters_;
};

}  // namespace narwhal
