// Peer: the sender of a connection's bytes: an address, in the few bytes that each connection keeps of it.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/config.hpp"
#include "core/ip_ranges.hpp"

namespace narwhal::worker {

struct Peer {
  static constexpr std::size_t text_bytes_max = 46;  // INET6_ADDRSTRLEN
  enum class Family : std::uint8_t { local, v4, v6 };
  enum class Trust : std::uint8_t { not_asked, yes, no };
  Family family = Family::local;   // of the socket itself, whatever a PROXY header says
  Trust trust = Trust::not_asked;  // of what it reports about its client; ProxyPolicy decides
  std::uint8_t text_size = 0;
  std::uint8_t listener = 0;  // by which of the worker's listeners it came
  Wire wire = Wire::http;     // that the listener speaks
  bool may_speak = true;      // it: see uwsgi_allow_ips
  std::uint16_t port = 0;
  char address[text_bytes_max];  // as text, made once: every request needs it

  static Peer of(const sockaddr_storage& from) noexcept;
  // A PROXY header's address replaces the socket's own.
  void become(const IpAddress& source, std::uint16_t source_port) noexcept;
  // Without the port; empty for a Unix socket.
  std::string_view text() const noexcept { return {address, text_size}; }
  // How a line of the log names it.
  std::string_view log_name() const noexcept { return text_size == 0 ? "a client of a Unix socket" : text(); }
};

}  // namespace narwhal::worker
