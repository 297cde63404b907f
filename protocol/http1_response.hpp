// HTTP/1 response heads, and those of the CGI wires: values in, bytes out. Interim ones (1xx) are heads with Length::absent, no date and no server.
// Errors   check_response() and check_interim() refuse what may not go on the wire; encode trusts that it was asked.
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
  std::string_view reason;  // empty: the usual words
  const Field* fields = nullptr;
  std::size_t field_count = 0;
  enum class Length : std::uint8_t { known, chunked, until_close, absent };  // absent: 1xx, 204, 304 without one
  Length length = Length::known;
  std::uint64_t content_length = 0;
  std::uint8_t minor = 1;   // the request's HTTP/1.minor decides how Connection is said
  bool keep_alive = true;   // 1.1: "Connection: close" when false; 1.0: "Connection: keep-alive" when true
  std::string_view date;    // as encode_date gave it; of any other size: no Date field
  std::string_view server;  // empty: no Server field. Left out when the fields bring their own
  bool trailers = false;    // will follow the body: a Trailer field that announces them is let through
};

// What may not go on the wire, and which field is at fault where one is.
struct Fault {
  const char* text = nullptr;  // a literal; null: nothing is wrong
  const Field* field = nullptr;
  explicit operator bool() const noexcept { return text != nullptr; }
};
// A name that is not a token, a control byte in a value.
Fault check_fields(const Field* fields, std::size_t count) noexcept;
Fault check_response(int status, const Field* fields, std::size_t count) noexcept;  // 200 to 599
// 102 to 199: 100 is the server's own to say, and 101 would hand the connection to another protocol.
Fault check_interim(int status, const Field* fields, std::size_t count) noexcept;
// The reason phrase that an application gives after its status: HTAB, SP and what is visible (RFC 9112 4).
Fault check_reason(std::string_view reason) noexcept;
// True for the fields that the host writes itself or that concern one connection only, which are dropped from an
// application's response: Connection, Keep-Alive, Proxy-Connection, TE, Trailer (but see ResponseHead::trailers),
// Transfer-Encoding, Upgrade (but in a 426, which has to name it: RFC 9110 15.5.22), Content-Length, Date.
bool is_host_field(std::string_view name) noexcept;
// What an application's Content-Length says: content_length_none without one, content_length_bad when it is not a number
// of at most 18 digits or two of them differ.
constexpr std::int64_t content_length_none = -1, content_length_bad = -2;
std::int64_t content_length_of(const Field* fields, std::size_t count) noexcept;
// Writes one field line with its CRLF, of name and value and four bytes; returns its end.
char* encode_field(const Field& field, char* out) noexcept;
// An upper bound of what encode_response_head writes.
std::size_t response_head_bound(const ResponseHead& head) noexcept;
// Writes the head with its empty line at out; returns its size in bytes.
std::size_t encode_response_head(const ResponseHead& head, char* out) noexcept;
// The same for a gateway, without Connection and Transfer-Encoding: `minor` and `keep_alive` do not count, and a length that
// is not known is shown by the end of the stream. For FastCGI (within STDOUT) and SCGI "Status: 200 OK" in the place of the
// status line (RFC 3875 6.3.3); for uwsgi "HTTP/1.1 200 OK", which nginx and Apache both read there.
std::size_t encode_cgi_head(const ResponseHead& head, char* out) noexcept;
std::size_t encode_uwsgi_head(const ResponseHead& head, char* out) noexcept;

}  // namespace narwhal::protocol
