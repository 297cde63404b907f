#include "worker/proxy_policy.hpp"

#include <algorithm>
#include <vector>

#include "core/log.hpp"
#include "protocol/characters.hpp"
#include "protocol/forwarded.hpp"
#include "protocol/proxy_header.hpp"

namespace narwhal::worker {

namespace {

using protocol::Head;
using protocol::Refusal;
using protocol::same_ignoring_case;
using protocol::Status;

constexpr std::uint64_t client_bits = Head::name_bit("X-Forwarded-For") | Head::name_bit("Forwarded");

bool has_underscore(std::string_view name) noexcept { return name.find('_') != std::string_view::npos; }

}  // namespace

ProxyPolicy::ProxyPolicy(const Config& config) : config_(config) {
  for (const auto& [name, value] : config.secure_scheme_headers) scheme_bits_ |= Head::name_bit(name);
  bits_ = scheme_bits_ | client_bits;
}

bool ProxyPolicy::trusts(Peer& peer) const noexcept {
  if (peer.trust == Peer::Trust::not_asked) {
    const bool trusted = peer.text_size == 0 || config_.forwarded_allow_ips.contains(peer.text());
    peer.trust = trusted ? Peer::Trust::yes : Peer::Trust::no;
  }
  return peer.trust == Peer::Trust::yes;
}

ProxyPolicy::ProxyHeader ProxyPolicy::take_proxy_header(std::string_view bytes, Peer& peer) const noexcept {
  if (peer.text_size != 0 && !config_.proxy_allow_ips.contains(peer.text())) {
    switch (protocol::like_proxy_header(bytes)) {
      case protocol::Likeness::maybe: return {Status::need_more, 0, {}};
      case protocol::Likeness::no: return {Status::complete, 0, {}};
      case protocol::Likeness::yes: break;
    }
    return {Status::refused, 0, {403, "PROXY header from a peer that is not in proxy_allow_ips"}};
  }
  const protocol::ProxyVersions accepted{.v1 = config_.proxy_protocol != ProxyProtocol::v2,
                                         .v2 = config_.proxy_protocol != ProxyProtocol::v1};
  const protocol::ProxyFed fed = protocol::decode_proxy_header(bytes, accepted);
  if (fed.status == Status::refused) return {fed.status, 0, {400, fed.fault}};
  if (fed.status == Status::complete && fed.names_source) peer.become(fed.source, fed.port);
  return {fed.status, fed.consumed, {}};
}

Refusal ProxyPolicy::apply(Head& head, Peer& peer, std::string_view& client) {
  const bool trusted = trusts(peer);
  if (trusted) {
    if (const Refusal refusal = set_scheme(head)) return refusal;
    if ((head.name_bits & client_bits) != 0) {
      const protocol::Client found =
          protocol::resolve_client(head.fields, {}, config_.forwarded_allow_ips, config_.client_header);
      if (found.refusal) return found.refusal;
      client = found.address;
    }
  } else if (same_ignoring_case(head.scheme, "https")) {
    // RFC 9110 7.4: only a trusted gateway may pass on what came over a secure connection.
    return {421, "target with https on a connection that is not secured"};
  }
  return head.has_underscore ? map_fields(head, trusted) : Refusal{};
}

// As in Gunicorn: any other value means http, and two fields that disagree contradict each other.
Refusal ProxyPolicy::set_scheme(Head& head) const noexcept {
  if ((head.name_bits & scheme_bits_) == 0) return {};
  bool found = false, secure = false;
  for (const Field& field : head.fields) {
    if ((Head::name_bit(field.name) & scheme_bits_) == 0) continue;
    for (const auto& [name, value] : config_.secure_scheme_headers) {
      if (!same_ignoring_case(field.name, name)) continue;
      const bool is_secure = same_ignoring_case(field.value, value);
      if (std::exchange(found, true) && is_secure != secure) return {400, "contradicting scheme headers"};
      secure = is_secure;
    }
  }
  if (found) head.scheme = std::string_view(secure ? "https" : "http");
  return {};
}

bool ProxyPolicy::may_forward(std::string_view name) const noexcept {
  return std::any_of(
      config_.forwarder_headers.begin(), config_.forwarder_headers.end(),
      [name](const std::string& allowed) { return allowed == "*" || same_ignoring_case(allowed, name); });
}

Refusal ProxyPolicy::map_fields(Head& head, bool trusted) {
  if (config_.header_map == HeaderMap::dangerous) return {};
  const auto is_unwanted = [&](const Field& field) {
    return has_underscore(field.name) && !(trusted && may_forward(field.name));
  };
  const auto first = std::find_if(head.fields.begin(), head.fields.end(), is_unwanted);
  if (first == head.fields.end()) return {};
  if (config_.header_map == HeaderMap::refuse) return {400, "field name with an underscore"};
  if (!std::exchange(drop_logged_, true)) {
    log::warning(
        "Dropped the request field {} because its name has an underscore (header_map: drop); logged once per worker",
        first->name.view());
  }
  std::erase_if(head.fields, is_unwanted);
  return {};
}

}  // namespace narwhal::worker
