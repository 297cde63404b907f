// Trailers of a response: the fields after the last chunk. RFC 9110 6.5, RFC 9112 7.1.2.
// Errors   check_trailers() refuses what may not be sent there; encode trusts that it was asked.
// Threads  none. No allocation: the caller gives the room.
#pragma once

#include <cstddef>
#include <string_view>

#include "protocol/http1_response.hpp"

namespace narwhal::protocol {

// True when a request's TE fields say "trailers": whoever sent it does not drop them unseen.
bool takes_trailers(const Field* request_fields, std::size_t count) noexcept;
// True for what a recipient must know before the body, or what would change how the message is framed, routed or
// allowed: RFC 9110 6.5.1.
bool is_forbidden_trailer(std::string_view name) noexcept;
Fault check_trailers(const Field* fields, std::size_t count) noexcept;
// An upper bound of what encode_trailers writes.
std::size_t trailers_bound(const Field* fields, std::size_t count) noexcept;
// Writes the lines, without the empty one that ends all; returns their size in bytes.
std::size_t encode_trailers(const Field* fields, std::size_t count, char* out) noexcept;

}  // namespace narwhal::protocol
