// Front: what the settings say of whoever stands in front of this server: whose word is believed, and about what.
// Trust    a peer is who sent the bytes: the other end of the socket or, after a PROXY header, the address it named, for
//          a proxy that sends one passes on what its client wrote. A peer without an address (a Unix socket) is trusted.
// Threads  whoever holds the baton.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/config.hpp"
#include "protocol/http1_head.hpp"
#include "protocol/refusal.hpp"
#include "worker/peer.hpp"

namespace narwhal::worker {

class Front {
 public:
  explicit Front(const Config& config);  // which outlives this

  // ---- PROXY headers ----
  bool reads_proxy_headers() const noexcept { return config_.proxy_protocol != ProxyProtocol::off; }
  struct Opening {
    protocol::Status status;
    std::size_t consumed;  // complete: bytes before the first request; 0 for a peer that need not send a header
    protocol::Refusal refusal;
  };
  // What a new connection opens with. Complete: `peer` has the address that the header names.
  Opening open(std::string_view bytes, Peer& peer) const noexcept;

  // ---- heads ----
  // False for most: then apply() would change nothing.
  bool concerns(const protocol::Head& head) const noexcept {
    return (head.name_bits & bits_) != 0 || head.has_underscore || head.scheme.data != nullptr;
  }
  // What the peer says of its client: sets the head's scheme and, where the fields name it, `client` (a view into them);
  // then takes out fields as header_map says.
  protocol::Refusal apply(protocol::Head& head, Peer& peer, std::string_view& client);

 private:
  bool trusts(Peer& peer) const noexcept;
  protocol::Refusal take_scheme(protocol::Head& head) const noexcept;
  protocol::Refusal map_fields(protocol::Head& head, bool trusted);
  bool may_forward(std::string_view name) const noexcept;

  const Config& config_;
  std::uint64_t scheme_bits_ = 0;  // of the names in secure_scheme_headers
  std::uint64_t bits_;             // and of those that name a client
  bool told_of_drop_ = false;
};

}  // namespace narwhal::worker
