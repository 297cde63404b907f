// The one client address before any number of proxies, out of X-Forwarded-For and Forwarded (RFC 7239).
// Method     each proxy adds, at the end of the list, the address it was asked from. From the end back: as long as the
//            one who wrote an entry is trusted, the entry is believed. The first address that is not trusted is the client; so
//            is the first of the list when all are. An entry that is not an address ends the walk: what it hides ("unknown",
//            "_name") or garbles nobody can vouch for, and the last hop that was sound is the client.
// Lists      several lines of one name are one list, in their order.
// Syntax     X-Forwarded-For: an address, IPv6 with or without brackets, maybe a port. Forwarded: as the RFC has it, and
//            blanks around a semicolon.
// Refused    what whoever asks could use to pass for somebody else, by sending beside the field that the proxy in front
//            of us writes another one that it lets through: both fields, resolving to different addresses; and a last
//            line of Forwarded whose quotes nobody can pair.
// Agreement  both fields resolve to one address, or Forwarded names the first hops of X-Forwarded-For and no others: a
//            CDN wrote both, and the proxy in front of us added itself to X-Forwarded-For alone, which then counts. Not
//            the other way round: behind a proxy that writes X-Forwarded-For, anybody could add hops to Forwarded.
// Ownership  the client is a view into a field's value, as written, without port and brackets, or `peer`.
// Errors     as a Refusal, whose fault is a literal. Nothing throws. Stateless.
#pragma once

#include <span>
#include <string_view>

#include "core/bytes.hpp"
#include "core/config.hpp"
#include "core/ip_ranges.hpp"
#include "protocol/refusal.hpp"

namespace narwhal::protocol {

struct Client {
  std::string_view address;
  Refusal refusal;  // then the address is empty
};

// `peer` sent the request and is trusted itself: of anybody else no field may be believed. Only the field that `counts`
// names is read.
Client resolve_client(std::span<const Field> fields, std::string_view peer, const IpRanges& trusted,
                      ClientHeader counts = ClientHeader::both) noexcept;

}  // namespace narwhal::protocol
