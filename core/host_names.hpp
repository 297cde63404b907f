// Names of hosts, as routes have them and as requests name them: lower case, without port and without a dot at the end.
// An IPv6 address is in brackets and in the one form that inet_ntop() writes.
// Errors   host_name(): only the reason. host_of() cannot fail.
// Threads  functions without state.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "core/result.hpp"

namespace narwhal {

// Bytes of the longest name that DNS has (RFC 1035 2.3.4), written without the dot at its end.
constexpr std::size_t host_bytes_max = 253;
using HostRoom = std::array<char, host_bytes_max + 1>;

// The host of a Host field or of a target's authority, "Shop.example.:8080", in the form above. Empty: there is none, or
// it is too long to be the name of a host. The text is `authority` or lies in `room`.
std::string_view host_of(std::string_view authority, HostRoom& room) noexcept;

// A name in a setting, in the form above. "*.shop.example" is every name that ends in ".shop.example".
Result<std::string> host_name(std::string_view text);

}  // namespace narwhal
