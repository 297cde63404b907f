// Percent-decoding, RFC 3986 2.1.
// Units      bytes in, bytes out: the result may hold any byte, NUL and '/' too. '+' stays '+'.
// Ownership  writes to the caller's room; that may be the text itself.
// Errors     a '%' without two hexadecimal digits gives nothing. Never throws.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace narwhal::protocol {

// `out` has room for text.size() bytes. Returns how many were written.
std::optional<std::size_t> percent_decode(std::string_view text, char* out) noexcept;

}  // namespace narwhal::protocol
