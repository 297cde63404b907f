// What the values of fields share: blanks around them, and lists. RFC 9110 5.6.1, 5.6.3.
#pragma once

#include <string_view>

namespace narwhal::protocol {

constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

constexpr std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// Calls `visit` for each member of a comma-separated list, without its blanks; empty members are skipped.
template <class Visit>
void for_each_member(std::string_view list, Visit visit) noexcept {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view member = trimmed(list.substr(0, comma));
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    if (!member.empty()) visit(member);
  }
}

}  // namespace narwhal::protocol
