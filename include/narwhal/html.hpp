// Text in HTML.
// Ownership  the result is a string of its own.
// Errors     none. The bytes need not be UTF-8.
// Threads    any.
// Source     the characters are those that end text or a quoted attribute: WHATWG HTML 13.1.2, 13.1.3.
#pragma once

#include <string>
#include <string_view>

namespace narwhal {

// For text between tags, and for attributes between double or single quotes. Not for scripts, styles, or attributes
// without quotes: nothing makes a text safe there.
inline std::string html_escape(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      case '\'': escaped += "&#39;"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

}  // namespace narwhal
