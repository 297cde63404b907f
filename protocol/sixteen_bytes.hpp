// Looks at up to sixteen bytes at once, where the processor can: what is short in nearly every request.
#pragma once

#include <bit>
#include <cstddef>
#include <string_view>

#include "protocol/characters.hpp"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace narwhal::protocol {

// Whether a name holds an underscore. `end` is that of readable memory.
inline bool has_underscore(std::string_view name, [[maybe_unused]] const char* end) noexcept {
#ifdef __SSE2__
  if (name.size() <= 16 && end - name.data() >= 16) [[likely]] {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(name.data()));
    const auto found = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8('_'))));
    return (found & ((1u << name.size()) - 1)) != 0;
  }
#endif
  return name.find('_') != std::string_view::npos;
}

// Whether a Host is made of letters, digits, '.' and '-', with digits after at most one ':'. False: not known. Sixteen
// bytes before the end of the value must be readable; in a head the request line is there at least.
inline bool is_plain_host([[maybe_unused]] std::string_view value) noexcept {
#ifdef __SSE2__
  if (value.size() > 16) return false;
  const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(value.data() + value.size() - 16));
  const auto within = [](__m128i bytes, char first, char last) {
    const __m128i from_first = _mm_sub_epi8(bytes, _mm_set1_epi8(first));
    return _mm_cmpeq_epi8(_mm_min_epu8(from_first, _mm_set1_epi8(static_cast<char>(last - first))), from_first);
  };
  const auto bits = [&](__m128i found) {
    return static_cast<unsigned>(_mm_movemask_epi8(found)) >> (16 - value.size());
  };
  const unsigned digits = bits(within(block, '0', '9'));
  const unsigned colons = bits(_mm_cmpeq_epi8(block, _mm_set1_epi8(':')));
  const __m128i letters = within(_mm_or_si128(block, _mm_set1_epi8(0x20)), 'a', 'z');
  const unsigned others = bits(_mm_or_si128(letters, within(block, '-', '.')));
  const unsigned all = (1u << value.size()) - 1;
  if ((digits | colons | others) != all) return false;
  const unsigned after_first_colon = colons == 0 ? 0 : ~(colons ^ (colons - 1)) & all;
  return (after_first_colon & ~digits) == 0;
#else
  return false;
#endif
}

#ifdef __SSE2__
// One bit for each of the sixteen bytes at `at` that no field's value may hold.
inline unsigned controls_but_tab(const char* at) noexcept {
  const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
  const __m128i tab = _mm_cmpeq_epi8(block, _mm_set1_epi8('\t'));
  const __m128i del = _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del)));
}
#endif

// Whether text holds no control byte but HTAB. `end` is that of readable memory.
inline bool is_text(std::string_view text, [[maybe_unused]] const char* end) noexcept {
#ifdef __SSE2__
  if (text.size() >= 16) {
    const char* const last = text.data() + text.size() - 16;  // may overlap what was seen already
    unsigned found = controls_but_tab(last);
    for (const char* at = text.data(); at < last; at += 16) found |= controls_but_tab(at);
    return found == 0;
  }
  if (text.empty()) return true;
  if (end - text.data() >= 16) [[likely]]
    return (controls_but_tab(text.data()) & ((1u << text.size()) - 1)) == 0;
#endif
  return all(text, bytes::value);
}

// Where the next NUL is; `end`: there is none before it.
inline const char* find_nul(const char* at, const char* end) noexcept {
#ifdef __SSE2__
  for (; end - at >= 16; at += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const auto found = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_setzero_si128())));
    if (found != 0) return at + std::countr_zero(found);
  }
#endif
  while (at != end && *at != '\0') ++at;
  return at;
}

// Whether text holds a NUL. `end` is that of readable memory.
inline bool has_nul(std::string_view text, [[maybe_unused]] const char* end) noexcept {
#ifdef __SSE2__
  if (text.size() <= 16 && end - text.data() >= 16) [[likely]] {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data()));
    const auto found = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_setzero_si128())));
    return (found & ((1u << text.size()) - 1)) != 0;
  }
#endif
  return text.find('\0') != std::string_view::npos;
}

// Whether text is all of capitals, digits and '_', as CGI variables are named. False: not known. `end` is that of readable
// memory.
inline bool is_plain_name([[maybe_unused]] std::string_view text, [[maybe_unused]] const char* end) noexcept {
#ifdef __SSE2__
  if (text.size() > 16 || end - text.data() < 16) return false;
  const auto within = [](__m128i bytes, char first, char last) {
    const __m128i from_first = _mm_sub_epi8(bytes, _mm_set1_epi8(first));
    return _mm_cmpeq_epi8(_mm_min_epu8(from_first, _mm_set1_epi8(static_cast<char>(last - first))), from_first);
  };
  const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data()));
  const __m128i marks = _mm_or_si128(within(block, '0', '9'), _mm_cmpeq_epi8(block, _mm_set1_epi8('_')));
  const auto plain = static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(marks, within(block, 'A', 'Z'))));
  return (~plain & ((1u << text.size()) - 1)) == 0;
#else
  return false;
#endif
}

}  // namespace narwhal::protocol
