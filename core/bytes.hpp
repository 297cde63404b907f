// Bytes: a view with the layout of the ABI's narwhal_bytes (pointer first, which std::string_view does not promise), so
// that a decoded head is handed to a plugin without a copy.
#pragma once

#include <cstddef>
#include <string_view>

namespace narwhal {

struct Bytes {
  const char* data = nullptr;
  std::size_t size = 0;

  constexpr Bytes() noexcept = default;
  constexpr Bytes(const char* begin, std::size_t count) noexcept : data(begin), size(count) {}
  constexpr Bytes(std::string_view text) noexcept : data(text.data()), size(text.size()) {}
  constexpr std::string_view view() const noexcept { return {data, size}; }
  constexpr operator std::string_view() const noexcept { return view(); }
};

struct Field {
  Bytes name, value;
};

}  // namespace narwhal
