#include "core/json_text.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <iterator>

#include "core/utf8.hpp"

namespace narwhal {
namespace {

unsigned byte_at(std::string_view bytes, std::size_t at) { return static_cast<unsigned char>(bytes[at]); }

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
    const std::size_t size = utf8_size(bytes);
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
