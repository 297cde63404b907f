// The setting trailing_slash of a route, for one request of its mount.
// Threads  apply: the holder of the baton; location: who answers.
#pragma once

#include <cstdint>
#include <string_view>

#include "worker/exchange.hpp"

namespace narwhal::worker {

// tolerant: takes the slash at the end from the head's path; the target stays as it is. The slash after the prefix is the
// application's root: it stays, and is added where it is missing. strict: the status of the answer where the path is the prefix without a slash. Else 0.
std::uint16_t apply_trailing_slash(Exchange& exchange) noexcept;

// Where that answer leads: the path with a slash, and the query. It is relative to the request's own target, so that it is
// right behind proxies that map prefixes, and cannot name another server. In the exchange's arena; empty: out of memory.
std::string_view location_with_slash(Exchange& exchange) noexcept;

}  // namespace narwhal::worker
