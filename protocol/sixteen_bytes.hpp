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

#ifdef __SSE2__
// Those of the sixteen bytes that lie between two, with both, as 0xff, the others as 0.
inline __m128i within(__m128i bytes, char first, char last) noexcept {
  const __m128i from_first = _mm_sub_epi8(bytes, _mm_set1_epi8(first));
  return _mm_cmpeq_epi8(_mm_min_epu8(from_first, _mm_set1_epi8(static_cast<char>(last - first))), from_first);
}
#endif

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
// One bit for each of the sixteen bytes that no field's value may hold.
inline unsigned controls_but_tab(__m128i block) noexcept {
  const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
  const __m128i tab = _mm_cmpeq_epi8(block, _mm_set1_epi8('\t'));
  const __m128i del = _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del)));
}

// Whether `test` finds nothing: a function from sixteen bytes to a bit for each. From eight bytes of text on.
template <class Test>
bool finds_nothing(std::string_view text, Test test) noexcept {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  if (text.size() < 16) {  // its two ends; what lies in both is seen twice
    const auto eight = [](const char* at) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(at)); };
    return test(_mm_unpacklo_epi64(eight(begin), eight(end - 8))) == 0;
  }
  const auto sixteen = [](const char* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); };
  unsigned found = test(sixteen(end - 16));
  for (const char* at = begin; at < end - 16; at += 16) found |= test(sixteen(at));
  return found == 0;
}
#endif

// Whether text holds no control byte but HTAB. Nothing beside it is read.
inline bool is_text(std::string_view text) noexcept {
#ifdef __SSE2__
  if (text.size() >= 8) [[likely]]
    return finds_nothing(text, controls_but_tab);
#endif
  return all(text, bytes::value);
}

// Whether text is all of letters, digits and '-', as names of fields are. False: not known. Nothing beside it is read.
inline bool is_plain_token([[maybe_unused]] std::string_view text) noexcept {
#ifdef __SSE2__
  if (text.size() < 8) return false;
  return finds_nothing(text, [](__m128i block) {
    const __m128i letters = within(_mm_or_si128(block, _mm_set1_epi8(0x20)), 'a', 'z');
    const __m128i others = _mm_or_si128(within(block, '0', '9'), _mm_cmpeq_epi8(block, _mm_set1_epi8('-')));
    return ~static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(letters, others))) & 0xffff;
  });
#else
  return false;
#endif
}

// Whether text holds no control byte but HTAB. `end` is that of readable memory.
inline bool is_text(std::string_view text, [[maybe_unused]] const char* end) noexcept {
#ifdef __SSE2__
  if (text.empty()) return true;
  if (text.size() < 16 && end - text.data() >= 16) [[likely]] {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data()));
    return (controls_but_tab(block) & ((1u << text.size()) - 1)) == 0;
  }
#endif
  return is_text(text);
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
  const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data()));
  const __m128i marks = _mm_or_si128(within(block, '0', '9'), _mm_cmpeq_epi8(block, _mm_set1_epi8('_')));
  const auto plain = static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(marks, within(block, 'A', 'Z'))));
  return (~plain & ((1u << text.size()) - 1)) == 0;
#else
  return false;
#endif
}

}  // namespace narwhal::protocol
