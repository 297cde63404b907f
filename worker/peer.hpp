// Peer: a client's address in the few bytes that each connection keeps of it.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace narwhal::worker {

struct Peer {
  static constexpr std::size_t text_bytes_max = 46;  // INET6_ADDRSTRLEN
  enum class Family : std::uint8_t { local, v4, v6 };
  Family family = Family::local;
  std::uint8_t text_size = 0;
  std::uint16_t port = 0;
  char address[text_bytes_max];  // as text, made once: every request shows it to somebody

  static Peer of(const sockaddr_storage& from) noexcept;
  // Without the port; empty for a Unix socket.
  std::string_view text() const noexcept { return {address, text_size}; }
};

}  // namespace narwhal::worker
