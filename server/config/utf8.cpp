#include "server/config/utf8.hpp"

#include <algorithm>
#include <cstddef>

namespace narwhal::server {
namespace {

// The length of the character that begins here, or 0 for overlong forms, surrogates and values above U+10FFFF.
std::size_t character_bytes(std::string_view bytes) noexcept {
  const auto at = [bytes](std::size_t index) {
    return index < bytes.size() ? static_cast<unsigned char>(bytes[index]) : 0u;
  };
  const auto continues = [at](std::size_t index) { return (at(index) & 0xC0) == 0x80; };
  const unsigned first = at(0), second = at(1);
  if (first == 0) return 0;
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

}  // namespace

std::optional<TextPlace> find_not_text(std::string_view bytes) noexcept {
  TextPlace place{1, 1};
  while (!bytes.empty()) {
    const std::size_t count = character_bytes(bytes);
    if (count == 0) return place;
    ++place.column;
    if (bytes.front() == '\n') place = TextPlace{place.line + 1, 1};
    bytes.remove_prefix(count);
  }
  return std::nullopt;
}

bool is_printable(std::string_view text) noexcept {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

}  // namespace narwhal::server
