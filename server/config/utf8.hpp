// Is it text? UTF-8 (RFC 3629) without NUL, and fit to be seen.
#pragma once

#include <optional>
#include <string_view>

namespace narwhal::server {

struct TextPlace {
  int line, column;  // from 1; columns count characters
};

// Where the first byte stands that is not text; nothing when all is well.
std::optional<TextPlace> find_not_text(std::string_view bytes) noexcept;

// No control byte but TAB: fit for a path, a name, a header's value.
bool is_printable(std::string_view text) noexcept;

}  // namespace narwhal::server
