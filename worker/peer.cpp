#include "worker/peer.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>
#include <cstring>

namespace narwhal::worker {

namespace {

// inet_ntop() prints IPv4 by sprintf(), and each connection needs it. Returns the text's size.
std::size_t put_v4(const unsigned char* bytes, char* out) noexcept {
  char* at = out;
  for (int each = 0; each < 4; ++each) {
    if (each != 0) *at++ = '.';
    at = std::to_chars(at, at + 3, bytes[each]).ptr;
  }
  return static_cast<std::size_t>(at - out);
}

std::size_t put_address(bool is_v4, const void* bytes, char* out) noexcept {
  if (is_v4) return put_v4(static_cast<const unsigned char*>(bytes), out);
  ::inet_ntop(AF_INET6, bytes, out, Peer::text_bytes_max);
  return std::strlen(out);
}

}  // namespace

Peer Peer::of(const sockaddr_storage& from) noexcept {
  Peer peer;
  const void* bytes = nullptr;
  if (from.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(from);
    peer.family = Family::v4;
    peer.port = ntohs(v4.sin_port);
    bytes = &v4.sin_addr;
  } else if (from.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(from);
    peer.port = ntohs(v6.sin6_port);
    // An IPv4 client of a dual-stack socket is shown as an IPv4 client.
    const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
    peer.family = mapped ? Family::v4 : Family::v6;
    bytes = v6.sin6_addr.s6_addr + (mapped ? 12 : 0);
  }
  if (bytes == nullptr) return peer;
  peer.text_size = static_cast<std::uint8_t>(put_address(peer.family == Family::v4, bytes, peer.address));
  return peer;
}

void Peer::become(const IpAddress& source, std::uint16_t source_port) noexcept {
  const bool v4 = source.is_v4();
  text_size = static_cast<std::uint8_t>(put_address(v4, source.bytes.data() + (v4 ? 12 : 0), address));
  port = source_port;
  trust = Trust::not_asked;
}

}  // namespace narwhal::worker
