// Peer: a client's address in the few bytes that each connection keeps of it.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

namespace narwhal::worker {

struct Peer {
  static constexpr std::size_t text_bytes_max = 46;  // INET6_ADDRSTRLEN
  enum class Family : std::uint8_t { local, v4, v6 };
  Family family = Family::local;
  std::uint16_t port = 0;
  unsigned char address[16] = {};

  static Peer of(const sockaddr_storage& from) noexcept;
  // The address without the port; returns its length in bytes. Empty for a Unix socket.
  std::size_t text(char* out) const noexcept;
};

}  // namespace narwhal::worker
