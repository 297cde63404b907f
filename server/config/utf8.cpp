#include "server/config/utf8.hpp"

#include <algorithm>
#include <cstddef>

#include "core/utf8.hpp"

namespace narwhal::server {
std::optional<TextPlace> find_not_text(std::string_view bytes) noexcept {
  TextPlace place{1, 1};
  while (!bytes.empty()) {
    const std::size_t count = bytes.front() == '\0' ? 0 : utf8_size(bytes);
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
