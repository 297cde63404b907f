// HTTP/1 request heads: bytes in, one Head out. RFC 9110, 9112.
// Method     the head is collected whole by the caller. Its bytes are checked strictly (http1_scan.hpp), llhttp cuts it
//            into its parts (http1_cut.hpp), and the rules that join them are applied: Host, framing, versions, targets.
// Ownership  every view in Head points into the bytes given; Head owns only its list of fields, which is
//            reused: no allocation once it has grown.
// Units      bytes. Limits of 0 mean "no limit of its own"; head_bytes_max() bounds the whole, at 2 MiB and a little.
// Errors     bad bytes give Status::refused with an HTTP status and a fault text (a literal). Throws for want of
//            memory alone.
// Threads    none; stateless but for the caller's Head.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/bytes.hpp"

namespace narwhal::protocol {

struct HeadLimits {
  std::size_t request_line = 4094;  // longer: 414
  std::size_t fields = 100;         // more: 431; 0, and more than 32768: 32768
  std::size_t field_size = 8190;    // one field line with its CRLF; longer: 431
};
// No head is longer than this: what a connection has to hold at most before decode_head decides.
std::size_t head_bytes_max(const HeadLimits& limits) noexcept;

enum class Framing : std::uint8_t { none, length, chunked };

struct Head {
  Bytes method, target;
  Bytes path;                 // of the target, as sent; "*" for asterisk-form; "/" where an absolute target has none
  Bytes query;                // after the first '?'
  Bytes authority;            // of an absolute target, else the Host field's value; may be empty
  Bytes scheme;               // of an absolute target, else empty
  std::vector<Field> fields;  // values without outer white space
  // One bit for each kind of name among the fields: no field has a name whose bit is not set.
  std::uint64_t name_bits = 0;
  std::uint64_t content_length = 0;  // for Framing::length
  std::uint8_t minor = 1;            // HTTP/1.minor
  Framing framing = Framing::none;
  bool keep_alive = true;        // by version and Connection
  bool expect_continue = false;  // Expect: 100-continue, in HTTP/1.1, and a body is to come
  bool is_head = false;
  bool has_underscore = false;  // in the name of a field

  // By the first letter, of either case, and whether the length is odd: it tells most names apart that matter.
  static constexpr std::uint64_t name_bit(std::string_view name) noexcept {
    return name.empty() ? 0 : std::uint64_t{1} << ((name.front() & 31) << 1 | (name.size() & 1));
  }

  // As a fresh one; the list of fields keeps its memory.
  void clear() noexcept;
  // Value of the first field of this name (any case); data is null when absent.
  Bytes field(std::string_view name) const noexcept;
};

enum class Status : std::uint8_t { need_more, complete, refused };

struct HeadFed {
  Status status = Status::need_more;
  std::uint16_t http_status = 0;  // refused: 400, 414, 417, 431, 501 or 505
  std::size_t consumed = 0;       // complete: bytes of the head, leading empty lines included
  std::size_t scanned = 0;        // need_more: pass it on at the next call, so that no byte is scanned twice
  const char* fault = "";         // refused: what was wrong, a literal
  bool copied = false;            // complete: llhttp took it only with something replaced; never an ordinary head
};

// `bytes` starts where the request starts and holds all that has arrived of it; what follows the head may be
// there too and is not looked at. Leading CRLFs are skipped (RFC 9112 2.2), a few of them.
HeadFed decode_head(std::string_view bytes, std::size_t scanned, const HeadLimits& limits, Head& head);

// Of a head that was refused or never came whole, what is known of it: its request line, where that is sound. Else
// method is empty, and so is all the rest but is_head: whatever is wrong with it, HEAD gets no body.
void decode_request_line(std::string_view bytes, Head& head) noexcept;

}  // namespace narwhal::protocol
