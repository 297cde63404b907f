// HTTP/1 response heads: values in, bytes out.
// Errors   check_response() refuses what may not go on the wire; encode trusts that it was asked.
// Threads  none. No allocation: the caller gives the room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/bytes.hpp"

namespace narwhal::protocol {

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7); exactly 29 bytes.
constexpr std::size_t date_bytes = 29;
void encode_date(std::int64_t unix_seconds, char* out) noexcept;

std::string_view reason_phrase(int status) noexcept;  // "OK"; "Unknown" for those without a registered one

struct ResponseHead {
  int status = 200;
  const Field* fields = nullptr;
  std::size_t field_count = 0;
  enum class Length : std::uint8_t { known, chunked, until_close, absent };  // absent: 1xx, 204, 304 without one
  Length length = Length::known;
  std::uint64_t content_length = 0;
  std::uint8_t minor = 1;   // the request's HTTP/1.minor decides how Connection is said
  bool keep_alive = true;   // 1.1: "Connection: close" when false; 1.0: "Connection: keep-alive" when true
  std::string_view date;    // as encode_date gave it; of any other size: no Date field
  std::string_view server;  // empty: no Server field. Left out when the fields bring their own
};

// What is wrong with status, names and values, or null: a name that is no token, a control byte in a value.
const char* check_response(int status, const Field* fields, std::size_t count) noexcept;
// True for the fields that the host writes itself or that concern one connection only, which are dropped from an
// application's response: Connection, Keep-Alive, Proxy-Connection, TE, Trailer, Transfer-Encoding, Upgrade,
// Content-Length, Date.
bool is_host_field(std::string_view name) noexcept;
// An upper bound of what encode_response_head writes.
std::size_t response_head_bound(const ResponseHead& head) noexcept;
// Writes the head with its empty line at out; returns its size in bytes.
std::size_t encode_response_head(const ResponseHead& head, char* out) noexcept;

}  // namespace narwhal::protocol
