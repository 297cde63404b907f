// ProxyPolicy: what the settings say about proxies in front of this server: which peers are believed, and about what.
// Trust      a peer is the sender of the bytes: the other end of the socket or, after a PROXY header, the address that the
//            header names, because a proxy that sends one passes on what its client wrote. A peer without an address (a
//            Unix socket) is trusted.
// Ownership  the config outlives this.
// Errors     what a peer writes wrong gives a Refusal. Memory: apply() may throw std::bad_alloc.
// Threads    the holder of the baton.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/config.hpp"
#include "protocol/http1_head.hpp"
#include "protocol/refusal.hpp"
#include "worker/peer.hpp"

namespace narwhal::worker {

class ProxyPolicy {
 public:
  explicit ProxyPolicy(const Config& config);

  // ---- PROXY headers ----
  bool reads_proxy_headers() const noexcept { return config_.proxy_protocol != ProxyProtocol::off; }
  struct ProxyHeader {
    protocol::Status status;
    std::size_t consumed;  // complete: bytes before the first request; 0 for a peer that need not send a header
    protocol::Refusal refusal;
  };
  // The first bytes of a new connection. Complete: `peer` has the address that the header names.
  ProxyHeader take_proxy_header(std::string_view bytes, Peer& peer) const noexcept;

  // ---- heads ----
  // False for most heads: then apply() would change nothing.
  bool applies_to(const protocol::Head& head) const noexcept {
    return (head.name_bits & bits_) != 0 || head.has_underscore || head.scheme.data != nullptr;
  }
  // Takes over what a trusted peer reports of its client: sets the head's scheme and, where the fields name it, `client`
  // (a view into them). Then removes fields as header_map says.
  protocol::Refusal apply(protocol::Head& head, Peer& peer, std::string_view& client);

 private:
  bool trusts(Peer& peer) const noexcept;
  protocol::Refusal set_scheme(protocol::Head& head) const noexcept;
  protocol::Refusal map_fields(protocol::Head& head, bool trusted);
  bool may_forward(std::string_view name) const noexcept;

  const Config& config_;
  std::uint64_t scheme_bits_ = 0;  // of the names in secure_scheme_headers
  std::uint64_t bits_;             // and of those that name a client
  bool drop_logged_ = false;       // once a worker
};

}  // namespace narwhal::worker
