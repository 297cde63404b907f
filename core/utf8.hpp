// UTF-8 (RFC 3629).
#pragma once

#include <cstddef>
#include <string_view>

namespace narwhal {

// The bytes of the character that begins here; 0 if there is none: overlong forms, surrogates, values above U+10FFFF.
constexpr std::size_t utf8_size(std::string_view bytes) noexcept {
  const auto at = [bytes](std::size_t index) {
    return index < bytes.size() ? static_cast<unsigned char>(bytes[index]) : 0u;
  };
  const auto continues = [at](std::size_t index) { return (at(index) & 0xC0) == 0x80; };
  const unsigned first = at(0), second = at(1);
  if (bytes.empty()) return 0;
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if ((first & 0xF0) == 0xE0) {
    const bool overlong = first == 0xE0 && second < 0xA0, surrogate = first == 0xED && second >= 0xA0;
    return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool overlong = first == 0xF0 && second < 0x90, beyond = first == 0xF4 && second >= 0x90;
    return continues(1) && continues(2) && continues(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

}  // namespace narwhal
