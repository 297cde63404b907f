// Text: bytes that are borrowed or owned, so that a literal needs no copy and a computed string may be temporary.
// Also the operations on text that HTTP needs: comparison without case, numbers, percent-encoding.
// Ownership  each constructor of Text says it.
// Errors     none, except std::bad_alloc where a std::string is made.
// Threads    values without shared state.
// Source     percent-encoding: RFC 3986 2.1; '+' as a space: application/x-www-form-urlencoded (WHATWG URL 5.1).
#pragma once

#include <narwhal/plugin.h>

#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace narwhal {

inline std::string_view view_of(narwhal_bytes bytes) noexcept {
  return bytes.data == nullptr ? std::string_view() : std::string_view(bytes.data, bytes.size);
}
inline narwhal_bytes bytes_of(std::string_view text) noexcept { return narwhal_bytes_of(text.data(), text.size()); }

// Memory that is neither changed nor freed while the process lives: the server may send from it without a copy.
struct Forever {
  std::string_view bytes;
};
inline Forever forever(std::string_view bytes) noexcept { return {bytes}; }

// Memory that is neither changed nor freed until the response has been handed to the server, which is after the app and
// every middleware have returned, or when Deferred::respond() returns. A view of the request is valid for that long:
// lend(request.path()). A view of the app's local variables is not.
struct Lent {
  std::string_view bytes;
};
inline Lent lend(std::string_view bytes) noexcept { return {bytes}; }

// A temporary string would be gone before it is sent: give it as it is, so that Text owns it.
template <std::same_as<std::string> String>
Forever forever(String&&) = delete;
template <std::same_as<std::string> String>
Lent lend(String&&) = delete;

class Text {
 public:
  Text() noexcept : view_() {}
  Text(const Text& other) : Text() { copy(other); }
  Text(Text&& other) noexcept : Text() { take(std::move(other)); }
  Text& operator=(Text other) noexcept {
    reset();
    take(std::move(other));
    return *this;
  }
  ~Text() { reset(); }

  // A string literal: borrowed, without its last NUL. A constant array that is not one is borrowed too: lend() says
  // for how long.
  template <std::size_t N>
  Text(const char (&literal)[N]) noexcept : view_(literal, N - 1) {}
  // A buffer: copied up to its first NUL.
  template <std::size_t N>
  Text(char (&buffer)[N]) : Text(std::string(buffer, ::strnlen(buffer, N))) {}
  // Copied, because nothing says how long its bytes live. Up to 15 bytes cost no allocation. See lend().
  Text(std::string_view text) : owned_(text), kind_(Kind::owned) {}
  Text(Lent lent) noexcept : view_(lent.bytes) {}
  Text(Forever kept) noexcept : view_(kept.bytes), kind_(Kind::forever) {}
  // Owned.
  Text(std::string text) noexcept : owned_(std::move(text)), kind_(Kind::owned) {}
  // NUL-terminated: copied.
  template <class Pointer>
  requires std::same_as < std::remove_cvref_t<Pointer>,
  const char* > || std::same_as<std::remove_cvref_t<Pointer>, char*> Text(Pointer&& text) : Text(std::string(text)) {}

  std::string_view view() const noexcept { return kind_ == Kind::owned ? std::string_view(owned_) : view_; }
  bool owned() const noexcept { return kind_ == Kind::owned; }
  bool lasts_forever() const noexcept { return kind_ == Kind::forever; }
  std::string take() && { return kind_ == Kind::owned ? std::move(owned_) : std::string(view_); }

 private:
  enum class Kind : unsigned char { borrowed, owned, forever };

  // These three make an empty Text into another one, or the reverse. What is borrowed costs no work on a string.
  void copy(const Text& other) {
    if (other.kind_ == Kind::owned) {
      new (&owned_) std::string(other.owned_);
    } else {
      view_ = other.view_;
    }
    kind_ = other.kind_;
  }
  void take(Text&& other) noexcept {
    if (other.kind_ == Kind::owned) {
      new (&owned_) std::string(std::move(other.owned_));
    } else {
      view_ = other.view_;
    }
    kind_ = other.kind_;
  }
  void reset() noexcept {
    if (kind_ != Kind::owned) return;
    owned_.~basic_string();
    new (&view_) std::string_view();
    kind_ = Kind::borrowed;
  }

  union {
    std::string_view view_;
    std::string owned_;  // if kind_ says so
  };
  Kind kind_ = Kind::borrowed;
};

// ASCII only: header names have no other letters (RFC 9110 5.1, 5.6.2).
inline bool equal_ignoring_case(std::string_view left, std::string_view right) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; };
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (lower(left[i]) != lower(right[i])) return false;
  }
  return true;
}

// The number that `text` is, all of it; nothing when it is not one of this type. As std::from_chars: no sign '+', no
// white space.
template <class Number>
requires std::is_arithmetic_v<Number> std::optional<Number> parse_number(std::string_view text)
noexcept {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stopped == end ? std::optional(number) : std::nullopt;
}

// "true", "yes", "on", "1" and their opposites, in any case.
inline std::optional<bool> parse_bool(std::string_view text) noexcept {
  for (const char* word : {"true", "yes", "on", "1"}) {
    if (equal_ignoring_case(text, word)) return true;
  }
  for (const char* word : {"false", "no", "off", "0"}) {
    if (equal_ignoring_case(text, word)) return false;
  }
  return std::nullopt;
}

enum class Plus : bool { plus, space };  // what '+' decodes to: a space in a query or a form, itself in a path

namespace detail {

inline int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The byte that the escape at `at` stands for; -1 when there is none: a '%' without two hex digits after it stays as it is.
inline int escaped_byte(std::string_view text, std::size_t at) noexcept {
  const int high = text[at] == '%' && text.size() - at > 2 ? hex_value(text[at + 1]) : -1;
  const int low = high < 0 ? -1 : hex_value(text[at + 2]);
  return low < 0 ? -1 : high * 16 + low;
}

// Writes at most text.size() bytes at `out`; returns how many.
inline std::size_t percent_decode_into(std::string_view text, Plus plus, char* out) noexcept {
  char* at = out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (const int byte = escaped_byte(text, i); byte >= 0) {
      *at++ = static_cast<char>(byte);
      i += 2;
    } else {
      *at++ = text[i] == '+' && plus == Plus::space ? ' ' : text[i];
    }
  }
  return static_cast<std::size_t>(at - out);
}

}  // namespace detail

// How many bytes of `path`, which is not decoded, are the decoded `prefix`; npos when that is not a prefix of whole
// segments. Prefixes are compared as applications see paths: "/%61pp/x" is under "/app", and so is "/app%2Fx".
inline std::size_t prefix_size(std::string_view path, std::string_view prefix) noexcept {
  // The byte at `at`, decoded; `at` becomes the place after it.
  const auto next = [path](std::size_t& at) noexcept {
    const int escaped = detail::escaped_byte(path, at);
    const char byte = escaped < 0 ? path[at] : static_cast<char>(escaped);
    at += escaped < 0 ? 1 : 3;
    return byte;
  };
  std::size_t at = 0;
  for (const char c : prefix) {
    if (at == path.size() || next(at) != c) return std::string_view::npos;
  }
  std::size_t boundary = at;
  return prefix.empty() || at == path.size() || next(boundary) == '/' ? at : std::string_view::npos;
}

inline std::string percent_decode(std::string_view text, Plus plus = Plus::plus) {
  std::string decoded(text.size(), '\0');
  decoded.resize(detail::percent_decode_into(text, plus, decoded.data()));
  return decoded;
}

// Encodes every byte except letters, digits, '-', '.', '_', '~' and the bytes of `kept`.
inline std::string percent_encode(std::string_view text, std::string_view kept = "") {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                       c == '.' || c == '_' || c == '~' || kept.find(c) != std::string_view::npos;
    if (plain) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += {'%', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return encoded;
}

}  // namespace narwhal
