#include "worker/access_values.hpp"

#include <strings.h>

#include <algorithm>

#include "narwhal/text.hpp"
#include "protocol/percent.hpp"
#include "worker/exchange.hpp"

namespace narwhal::worker {

namespace {

// A field of the response head as it was sent.
std::string_view response_field(std::string_view head, std::string_view name) {
  std::string_view found;
  for_each_response_field(head, [&](std::string_view field, std::string_view value) {
    const bool is_it = field.size() == name.size() && strncasecmp(field.data(), name.data(), name.size()) == 0;
    if (is_it && found.data() == nullptr) found = value;
  });
  return found;
}

}  // namespace

std::string basic_user(std::string_view authorization) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (authorization.size() < 6 || strncasecmp(authorization.data(), "basic ", 6) != 0) return {};
  std::string decoded;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : authorization.substr(6)) {
    const std::size_t value = alphabet.find(c);
    if (value == std::string_view::npos) break;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    if ((count += 6) < 8) continue;
    count -= 8;
    decoded += static_cast<char>(bits >> count & 0xff);
  }
  const std::size_t colon = decoded.find(':');
  return colon == std::string::npos ? std::string() : decoded.substr(0, colon);
}

std::string decoded_path(const Exchange& exchange) {
  const std::string_view path = exchange.head.path;
  std::string decoded(path.size(), '\0');
  const auto size = protocol::percent_decode(path, decoded.data());
  return size ? decoded.substr(0, *size) : std::string(path);
}

std::string_view protocol_of(const Exchange& exchange) {
  if (exchange.head.method.size == 0) return "-";
  return exchange.head.minor == 1 ? "HTTP/1.1" : "HTTP/1.0";
}

std::string request_line(const Exchange& exchange) {
  const protocol::Head& head = exchange.head;
  if (head.method.size == 0) return {};
  std::string line(head.method);
  line += ' ';
  line += std::string_view(head.target);
  line += ' ';
  line += protocol_of(exchange);
  return line;
}

std::chrono::nanoseconds time_taken(const Exchange& exchange, Instant now) {
  return std::max(now - exchange.started, std::chrono::nanoseconds::zero());
}

std::string_view named_value(const AccessPiece& piece, const Exchange& exchange, const Answered& answered) {
  if (piece.atom == 'i') return exchange.head.field(piece.text);
  if (!answered.own) return {};
  if (piece.atom == 'o') return response_field(exchange.response.bytes().head(), piece.text);
  if (exchange.mount == nullptr) return {};
  // To make it may take memory of the exchange's arena.
  return view_of(const_cast<Exchange&>(exchange).logged_variable(piece.text));
}

}  // namespace narwhal::worker
