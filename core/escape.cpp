#include "core/escape.hpp"

namespace narwhal {
namespace {

bool is_control(unsigned char byte) { return byte < 0x20 || byte == 0x7f; }

std::string_view escape_of(unsigned char byte, char (&hex)[4]) {
  constexpr char digits[] = "0123456789abcdef";
  switch (byte) {
    case '\t': return "\\t";
    case '\n': return "\\n";
    case '\r': return "\\r";
    default: break;
  }
  hex[0] = '\\';
  hex[1] = 'x';
  hex[2] = digits[byte >> 4];
  hex[3] = digits[byte & 15];
  return {hex, sizeof hex};
}

}  // namespace

bool append_escaped(std::string& output, std::string_view text, std::size_t bytes_max) {
  std::size_t left = bytes_max;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    char hex[4];
    const std::string_view piece = is_control(byte) ? escape_of(byte, hex) : std::string_view(&c, 1);
    if (piece.size() > left) return false;
    output += piece;
    left -= piece.size();
  }
  return true;
}

}  // namespace narwhal
