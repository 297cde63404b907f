#include "tests/wire/head_witness.hpp"

namespace narwhal::wire {
namespace {

bool is_token(std::string_view text) {
  constexpr std::string_view token_bytes =
      "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  return !text.empty() && text.find_first_not_of(token_bytes) == std::string_view::npos;
}

bool is_visible(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') return false;
  }
  return !text.empty();
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view blanks = " \t";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return text.substr(text.size());
  return text.substr(first, text.find_last_not_of(blanks) + 1 - first);
}

bool cut_line(std::string_view line, PlainHead& head) {
  const std::size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return false;
  const std::string_view protocol = line.substr(last + 1);
  if (protocol.size() != 8 || !protocol.starts_with("HTTP/")) return false;
  head.method = line.substr(0, first);
  head.target = line.substr(first + 1, last - first - 1);
  head.version = protocol.substr(5);
  return is_token(head.method) && is_visible(head.target) && is_digit(head.version[0]) && head.version[1] == '.' &&
         is_digit(head.version[2]);
}

bool cut_field(std::string_view line, PlainHead& head) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return false;
  head.fields.emplace_back(line.substr(0, colon), without_blanks(line.substr(colon + 1)));
  return true;
}

}  // namespace

std::optional<PlainHead> cut_by_hand(std::string_view head) {
  PlainHead cut;
  for (bool is_first = true;; is_first = false) {
    const std::size_t size = head.find("\r\n");
    if (size == std::string_view::npos) return std::nullopt;
    const std::string_view line = head.substr(0, size);
    head.remove_prefix(size + 2);
    if (line.empty()) return is_first ? std::nullopt : std::optional(cut);
    if (!(is_first ? cut_line(line, cut) : cut_field(line, cut))) return std::nullopt;
  }
}

}  // namespace narwhal::wire
