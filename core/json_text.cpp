#include "core/json_text.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <iterator>

namespace narwhal {
namespace {

unsigned byte_at(std::string_view bytes, std::size_t at) { return static_cast<unsigned char>(bytes[at]); }

// The length of the UTF-8 character at the front of `bytes`; 0: there is none (RFC 3629, section 4).
std::size_t character_size(std::string_view bytes) {
  const unsigned first = byte_at(bytes, 0);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || bytes.size() < size) return 0;
  const unsigned second = byte_at(bytes, 1);
  const unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (std::size_t at = 2; at < size; ++at) {
    if ((byte_at(bytes, at) & 0xc0) != 0x80) return 0;
  }
  return size;
}

bool is_plain(unsigned byte) { return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\'; }

void append_escape(std::string& output, unsigned code) {
  switch (code) {
    case '"': output += "\\\""; return;
    case '\\': output += "\\\\"; return;
    case '\n': output += "\\n"; return;
    case '\r': output += "\\r"; return;
    case '\t': output += "\\t"; return;
    default: fmt::format_to(std::back_inserter(output), "\\u{:04x}", code);
  }
}

}  // namespace

void append_json_string(std::string& output, std::string_view bytes) {
  output += '"';
  while (!bytes.empty()) {
    std::size_t plain = 0;
    while (plain < bytes.size() && is_plain(byte_at(bytes, plain))) ++plain;
    output.append(bytes.substr(0, plain));
    bytes.remove_prefix(plain);
    if (bytes.empty()) break;
    const std::size_t size = character_size(bytes);
    const bool is_control = size == 2 && byte_at(bytes, 0) == 0xc2 && byte_at(bytes, 1) < 0xa0;  // U+0080 to U+009F
    if (size == 0) {
      output += "\\ufffd";
    } else if (size == 1 || is_control) {
      append_escape(output, byte_at(bytes, size - 1));
    } else {
      output.append(bytes.substr(0, size));
    }
    bytes.remove_prefix(size == 0 ? 1 : size);
  }
  output += '"';
}

}  // namespace narwhal
