// Which bytes may stand where, as one table: a check is one load. RFC 9110 5.6, RFC 3986.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace narwhal::protocol {

namespace bytes {
constexpr std::uint8_t token = 1;     // tchar: methods, field names, chunk extension names
constexpr std::uint8_t value = 2;     // a field's value: no control byte but HTAB
constexpr std::uint8_t path = 4;      // a target before its '?': no control byte, space or '?'
constexpr std::uint8_t reg_name = 8;  // a host name but '%'; no comma, which only two joined Host fields would show
constexpr std::uint8_t digit = 16;
constexpr std::uint8_t hex = 32;
constexpr std::uint8_t method = 64;  // a token's but a to z
constexpr std::uint8_t query = 128;  // a target after its '?': the path's and more '?'
}  // namespace bytes

constexpr std::array<std::uint8_t, 256> byte_kinds = [] {
  std::array<std::uint8_t, 256> kinds{};
  const auto among = [](char c, std::string_view set) { return set.find(c) != std::string_view::npos; };
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const bool is_digit = c >= '0' && c <= '9';
    const bool is_lower = c >= 'a' && c <= 'z';
    const bool alnum = is_digit || is_lower || (c >= 'A' && c <= 'Z');
    const bool visible = i > 0x20 && i != 0x7f;
    const bool text = c == '\t' || (i >= 0x20 && i != 0x7f);
    unsigned kind = 0;
    if (alnum || among(c, "!#$%&'*+-.^_`|~")) kind |= bytes::token;
    if (text) kind |= bytes::value;
    // RFC 3986 has bytes from 0x80 and '#' only as escapes, but clients send them and other servers pass them on.
    if (visible && c != '?') kind |= bytes::path;
    if (alnum || among(c, "-._~!$&'()*+;=")) kind |= bytes::reg_name;
    if (is_digit) kind |= bytes::digit;
    if (is_digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) kind |= bytes::hex;
    if ((kind & bytes::token) != 0 && !is_lower) kind |= bytes::method;
    if (visible) kind |= bytes::query;
    kinds[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(kind);
  }
  return kinds;
}();

constexpr bool is(char c, std::uint8_t kind) noexcept {
  return (byte_kinds[static_cast<unsigned char>(c)] & kind) != 0;
}

constexpr bool all(std::string_view text, std::uint8_t kind) noexcept {
  for (const char c : text) {
    if (!is(c, kind)) return false;
  }
  return true;
}

// -1 when it is not a hexadecimal digit.
constexpr int hex_value(char c) noexcept {
  if (!is(c, bytes::hex)) return -1;
  return is(c, bytes::digit) ? c - '0' : (c | 0x20) - 'a' + 10;
}

// Compares a token with a lower-case literal of letters, digits and '-'. Setting bit 5 maps each upper-case letter
// to its lower-case one, and of the bytes a token may hold none else to a letter, digit or '-'.
template <std::size_t Size>
inline bool same_token(std::string_view name, const char (&lower)[Size]) noexcept {
  constexpr std::size_t length = Size - 1;
  if (name.size() != length) return false;
  const auto differs = [&]<class Word>(Word, std::size_t at) {
    Word mine, theirs, spaces;
    std::memcpy(&mine, name.data() + at, sizeof(Word));
    std::memcpy(&theirs, lower + at, sizeof(Word));
    std::memset(&spaces, 0x20, sizeof(Word));
    return static_cast<Word>(mine | spaces) != theirs;
  };
  std::size_t at = 0;
  for (; at + 8 <= length; at += 8) {
    if (differs(std::uint64_t{}, at)) return false;
  }
  // The last words may overlap what was compared already.
  if constexpr (length % 8 != 0 && length > 8) return !differs(std::uint64_t{}, length - 8);
  if constexpr (length % 8 >= 4) return !differs(std::uint32_t{}, at) && !differs(std::uint32_t{}, length - 4);
  for (; at < length; ++at) {
    if (differs(std::uint8_t{}, at)) return false;
  }
  return true;
}

// Eight bytes with A to Z in lower case: in each, the top bit of a sum tells whether it passes a bound.
constexpr std::uint64_t lower_word(std::uint64_t word) noexcept {
  constexpr std::uint64_t each = 0x0101010101010101, top = 0x80 * each;
  const std::uint64_t low = word & ~top;
  const std::uint64_t from_a = low + (0x80 - 'A') * each, past_z = low + (0x7f - 'Z') * each;
  return word | ((from_a & ~past_z & ~word & top) >> 2);
}

inline bool same_ignoring_case(std::string_view one, std::string_view other) noexcept {
  const auto folded = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  const auto differs = [&](std::size_t at) {
    std::uint64_t left, right;
    std::memcpy(&left, one.data() + at, 8);
    std::memcpy(&right, other.data() + at, 8);
    return left != right && lower_word(left) != lower_word(right);
  };
  const std::size_t size = one.size();
  if (size != other.size()) return false;
  if (size >= 8) {
    for (std::size_t at = 0; at + 8 <= size; at += 8) {
      if (differs(at)) return false;
    }
    return !differs(size - 8);  // the last eight may overlap what was compared already
  }
  for (std::size_t at = 0; at < size; ++at) {
    if (one[at] != other[at] && folded(one[at]) != folded(other[at])) return false;
  }
  return true;
}

}  // namespace narwhal::protocol
