// The calls of a plugin that are about its request: what it reads, its variables, its memory.
// Threads    `lock` holds the exchange's mutex; a call that waits opens it meanwhile.
// Errors     the codes of plugin.h; std::bad_alloc.
#pragma once

#include <narwhal/testing/exchange.hpp>

#include <cstring>
#include <optional>

namespace narwhal::testing::detail {

// While it lives, this thread is in one of the calls that one thread at a time may be in.
class OneAtATime {
 public:
  OneAtATime(Exchange& exchange, std::atomic<const char*>& mark, const char* call) : mark_(mark) {
    const char* none = nullptr;
    is_first_ = mark_.compare_exchange_strong(none, call);
    if (is_first_) return;
    exchange.breach(call, "another thread was in " + std::string(none) + "() of it: one thread at a time");
  }
  OneAtATime(const OneAtATime&) = delete;
  OneAtATime& operator=(const OneAtATime&) = delete;
  ~OneAtATime() {
    if (is_first_) mark_ = nullptr;
  }

 private:
  std::atomic<const char*>& mark_;
  bool is_first_;
};

inline narwhal_bytes field_of(const Exchange& exchange, std::string_view name) {
  const narwhal_request& request = *exchange.request;
  for (std::uint32_t i = 0; i < request.field_count; ++i) {
    if (equal_ignoring_case(view_of(request.fields[i].name), name)) return request.fields[i].value;
  }
  return {nullptr, 0};
}

// ---- the body ----

inline int whole_body(Exchange& exchange, narwhal_bytes* out) {
  *out = {nullptr, 0};
  if (exchange.site->streams_body()) return NARWHAL_STATE;  // not a breach: this is how to find out
  *out = exchange.body;
  return NARWHAL_OK;
}

// What the client has sent and nobody has read.
inline std::string_view unread(const Exchange& exchange) {
  const std::string_view all =
      exchange.site->streams_body() ? std::string_view(exchange.arrived) : view_of(exchange.body);
  return all.substr(exchange.body_read);
}

inline std::int64_t take_body(Exchange& exchange, char* buffer, std::size_t size) {
  const std::string_view left = unread(exchange);
  const std::size_t got = std::min({size, left.size(), exchange.asked.read_max});
  if (got != 0) std::memcpy(buffer, left.data(), got);
  exchange.body_read += got;
  return static_cast<std::int64_t>(got);
}

inline std::int64_t read_body(Exchange& exchange, Lock& lock, char* buffer, std::size_t size) {
  if (exchange.returned) exchange.breach("read_body", "after handle() had returned: read the body before");
  if (!exchange.site->streams_body()) return take_body(exchange, buffer, size);
  const auto readable = [&] { return !unread(exchange).empty() || exchange.body_ended || exchange.gone; };
  if (!readable() && exchange.site->is_inline()) return NARWHAL_AGAIN;
  if (!exchange.changed.wait_for(lock, exchange.site->settings.patience, readable)) {
    exchange.breach("read_body",
                    "it has waited too long for its client: the test has to call send_body(), end_body() or"
                    " leave()");
    exchange.gone = true;
  }
  if (unread(exchange).empty()) return exchange.body_ended ? 0 : NARWHAL_GONE;
  return take_body(exchange, buffer, size);
}

// ---- memory and variables ----

inline void* allocate(Exchange& exchange, std::size_t size) {
  if (size > static_cast<std::size_t>(-1) / 2 || exchange.memory_is_out()) return nullptr;
  return exchange.memory.allocate(size, true);
}

// "HTTP_ACCEPT_LANGUAGE" names the field "accept-language".
inline bool names_field(std::string_view variable, std::string_view field) {
  return std::equal(variable.begin(), variable.end(), field.begin(), field.end(), [](char upper, char c) {
    return upper == (c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  });
}

// Fields of one name, joined: RFC 9110 5.3, cookies by RFC 6265 5.4.
inline narwhal_bytes field_variable(Exchange& exchange, std::string_view name) {
  const narwhal_request& request = *exchange.request;
  narwhal_bytes only{nullptr, 0};
  std::string joined;
  unsigned count = 0;
  for (std::uint32_t i = 0; i < request.field_count; ++i) {
    if (!names_field(name, view_of(request.fields[i].name))) continue;
    only = request.fields[i].value;
    joined += (count++ == 0 ? "" : name == "COOKIE" ? "; " : ",") + std::string(view_of(only));
  }
  return count < 2 ? only : exchange.memory.copy(joined);
}

// Nothing: a '%' without two hexadecimal digits.
inline std::optional<std::string> decoded_path(std::string_view path) {
  for (std::size_t at = path.find('%'); at != path.npos; at = path.find('%', at + 1)) {
    if (narwhal::detail::escaped_byte(path, at) < 0) return std::nullopt;
  }
  return percent_decode(path);
}

inline narwhal_bytes server_variable(Exchange& exchange, bool is_port) {
  const std::string_view authority = view_of(exchange.request->authority);
  std::size_t colon = authority.rfind(':');
  if (colon != authority.npos && authority.find(']', colon) != authority.npos) colon = authority.npos;
  if (!is_port) return exchange.memory.copy(authority.substr(0, colon));
  if (colon != authority.npos && colon + 1 < authority.size()) return exchange.memory.copy(authority.substr(colon + 1));
  return exchange.memory.copy(view_of(exchange.request->scheme) == "https" ? "443" : "80");
}

inline narwhal_bytes path_variable(Exchange& exchange) {
  std::string_view path = view_of(exchange.request->path);
  path.remove_prefix(std::min(prefix_size(path, exchange.site->settings.prefix), path.size()));
  return exchange.memory.copy(decoded_path(path).value_or(std::string(path)));
}

inline narwhal_bytes variable(Exchange& exchange, std::string_view name) {
  const narwhal_request& request = *exchange.request;
  if (name.substr(0, 5) == "HTTP_") return field_variable(exchange, name.substr(5));
  if (name == "REQUEST_METHOD") return request.method;
  if (name == "SCRIPT_NAME") return request.prefix;
  if (name == "QUERY_STRING") return request.query;
  if (name == "REQUEST_URI") return request.target;
  if (name == "SERVER_PROTOCOL") return request.protocol;
  if (name == "REMOTE_ADDR") return request.peer;
  if (name == "CLIENT_ADDR") return request.client;
  if (name == "REMOTE_PORT") return exchange.memory.copy(std::to_string(request.peer_port));
  if (name == "REQUEST_SCHEME") return request.scheme;
  if (name == "SERVER_SOFTWARE") return NARWHAL_LITERAL("narwhal");
  if (name == "GATEWAY_INTERFACE") return NARWHAL_LITERAL("CGI/1.1");
  if (name == "CONTENT_TYPE") return field_variable(exchange, name);
  if (name == "CONTENT_LENGTH") {
    const bool has_body =
        field_of(exchange, "Content-Length").data != nullptr || field_of(exchange, "Transfer-Encoding").data != nullptr;
    if (!has_body || request.body_size < 0) return {nullptr, 0};
    return exchange.memory.copy(std::to_string(request.body_size));
  }
  if (name == "SERVER_NAME" || name == "SERVER_PORT") return server_variable(exchange, name == "SERVER_PORT");
  if (name == "PATH_INFO") return path_variable(exchange);
  return {nullptr, 0};
}

}  // namespace narwhal::testing::detail
