// Refusal: why bytes are refused, or that they are not. A value, for input never throws.
#pragma once

#include <cstdint>

namespace narwhal::protocol {

struct Refusal {
  std::uint16_t http_status = 0;  // 0: not refused
  const char* fault = "";         // a literal
  explicit operator bool() const noexcept { return http_status != 0; }
};

}  // namespace narwhal::protocol
