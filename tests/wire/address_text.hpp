// An IP address as a test shows it.
#pragma once

#include <cstddef>
#include <string>

#include "core/ip_ranges.hpp"

namespace narwhal::wire {

// As eight groups, or as four numbers.
inline std::string address_text(const IpAddress& address) {
  std::string text;
  if (address.is_v4()) {
    for (std::size_t at = 12; at < 16; ++at) text += (text.empty() ? "" : ".") + std::to_string(address.bytes[at]);
    return text;
  }
  constexpr char digits[] = "0123456789abcdef";
  for (std::size_t at = 0; at < 16; ++at) {
    if (at != 0 && at % 2 == 0) text += ':';
    text += digits[address.bytes[at] >> 4];
    text += digits[address.bytes[at] & 15];
  }
  return text;
}

}  // namespace narwhal::wire
