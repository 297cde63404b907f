// PROXY protocol headers, versions 1 (text) and 2 (binary): what a proxy that passes bytes on says of their client before
// the first of them. Bytes in, one address out. The specification is HAProxy's proxy-protocol.txt.
// Strictness  exactly one blank between the parts of version 1, ports without leading zeros, addresses of the family
//             announced. In version 2 the connection must be a stream, and the header at most proxy_header_bytes_max.
// Left out    destination addresses are checked, not kept; version 2's TLVs are skipped.
// Errors      bad bytes give Status::refused and a fault, a literal. Nothing throws. Stateless.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/ip_ranges.hpp"
#include "protocol/http1_head.hpp"

namespace narwhal::protocol {

constexpr std::size_t proxy_line_bytes_max = 107;     // version 1, with its CRLF
constexpr std::size_t proxy_header_bytes_max = 4096;  // version 2, with its TLVs

struct ProxyVersions {
  bool v1 = true, v2 = true;  // one at least
};

struct ProxyFed {
  Status status = Status::need_more;
  std::size_t consumed = 0;  // complete: bytes of the header
  // False: the header names no address (LOCAL, UNKNOWN, UNSPEC, a Unix socket): the socket's own stays.
  bool names_source = false;
  IpAddress source;  // of the client
  std::uint16_t port = 0;
  const char* fault = "";  // refused: what was wrong
};

// `bytes` starts where the connection starts and holds all that has arrived of it.
ProxyFed decode_proxy_header(std::string_view bytes, ProxyVersions accepted) noexcept;

// Whether bytes begin as a PROXY header of any version does, for a peer that may not send one. `maybe`: more are needed.
enum class Likeness : std::uint8_t { no, maybe, yes };
Likeness like_proxy_header(std::string_view bytes) noexcept;

}  // namespace narwhal::protocol
