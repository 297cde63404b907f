// How an answer is put on each wire: the head's form, what shows where the body ends, and the records of FastCGI around both.
//   http      a status line; Content-Length, chunks or the end of the connection
//   scgi      "Status: 200 OK"; the end of the connection
//   uwsgi     a status line; the end of the connection
//   fastcgi   "Status: 200 OK", in records of STDOUT; END_REQUEST, and the connection may stay
// Errors   none. No allocation: the caller gives the room.
// Threads  any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/config.hpp"
#include "protocol/fastcgi_records.hpp"
#include "protocol/http1_response.hpp"

namespace narwhal::worker {

// The wire of a connection and, for FastCGI, the request's id on it.
struct WireId {
  Wire wire = Wire::http;
  std::uint16_t request = 0;
  bool is_fastcgi() const noexcept { return wire == Wire::fastcgi; }
  bool is_http() const noexcept { return wire == Wire::http; }
};

// An upper bound of what encode_head() writes.
std::size_t head_bound(WireId id, const protocol::ResponseHead& head) noexcept;
struct EncodedHead {
  std::size_t size;   // of all that was written
  std::size_t begin;  // where the head itself begins; it is in one piece, unless it is longer than a record
};
EncodedHead encode_gateway_head(WireId id, const protocol::ResponseHead& head, char* out) noexcept;
inline EncodedHead encode_head(WireId id, const protocol::ResponseHead& head, char* out) noexcept {
  if (id.is_http()) [[likely]]
    return {protocol::encode_response_head(head, out), 0};
  return encode_gateway_head(id, head, out);
}

// A whole answer: the head, `text` as a line of its own, or no body where it is empty, and the end.
std::size_t plain_bound(WireId id, const protocol::ResponseHead& head, std::string_view text) noexcept;
std::size_t encode_plain(WireId id, const protocol::ResponseHead& head, std::string_view text, char* out) noexcept;

}  // namespace narwhal::worker
