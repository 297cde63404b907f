// Checks of text: valid UTF-8 (RFC 3629) without NUL, and printable.
#pragma once

#include <optional>
#include <string_view>

namespace narwhal::server {

struct TextPlace {
  int line, column;  // from 1; columns count characters
};

// The place of the first byte that is not text; nothing if all of it is.
std::optional<TextPlace> find_not_text(std::string_view bytes) noexcept;

// True if it contains no control byte except TAB, as a path, a name or a header value must.
bool is_printable(std::string_view text) noexcept;

}  // namespace narwhal::server
