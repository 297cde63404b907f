#include "protocol/percent.hpp"

#include <cstring>

#include "protocol/characters.hpp"

namespace narwhal::protocol {

std::optional<std::size_t> percent_decode(std::string_view text, char* out) noexcept {
  char* write = out;
  while (!text.empty()) {
    // Most text has no escape: it moves in one piece. memmove, for out may be the text itself.
    const std::size_t plain = text.substr(0, text.find('%')).size();
    std::memmove(write, text.data(), plain);
    write += plain;
    text.remove_prefix(plain);
    if (text.empty()) break;
    if (text.size() < 3) return std::nullopt;
    const int high = hex_value(text[1]);
    const int low = hex_value(text[2]);
    if (high < 0 || low < 0) return std::nullopt;
    *write++ = static_cast<char>(high << 4 | low);
    text.remove_prefix(3);
  }
  return static_cast<std::size_t>(write - out);
}

}  // namespace narwhal::protocol
