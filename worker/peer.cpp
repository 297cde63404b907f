#include "worker/peer.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

namespace narwhal::worker {

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
  ::inet_ntop(peer.family == Family::v4 ? AF_INET : AF_INET6, bytes, peer.address, text_bytes_max);
  peer.text_size = static_cast<std::uint8_t>(std::strlen(peer.address));
  return peer;
}

void Peer::become(const IpAddress& source, std::uint16_t source_port) noexcept {
  const bool v4 = source.is_v4();
  ::inet_ntop(v4 ? AF_INET : AF_INET6, source.bytes.data() + (v4 ? 12 : 0), address, text_bytes_max);
  text_size = static_cast<std::uint8_t>(std::strlen(address));
  port = source_port;
  trust = Trust::not_asked;
}

}  // namespace narwhal::worker
