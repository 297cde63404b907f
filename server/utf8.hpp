// Is it text? UTF-8 (RFC 3629) without NUL.
#pragma once

#include <optional>
#include <string_view>

namespace narwhal::server {

struct TextPlace {
  int line, column;  // from 1; columns count characters
};

// Where the first byte stands that is not text; nothing when all is well.
std::optional<TextPlace> find_not_text(std::string_view bytes) noexcept;

}  // namespace narwhal::server
