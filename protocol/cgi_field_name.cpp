#include "protocol/cgi_field_name.hpp"

#include "protocol/characters.hpp"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace narwhal::protocol {
namespace {

#ifdef __SSE2__
// Sixteen bytes of a name, of which the first `count` belong to it. False, and nothing is changed: it is not all of
// letters, digits, '_' and '-'.
bool to_field_name_block(char* at, std::size_t count, __m128i& after_break) noexcept {
  const auto within = [](__m128i bytes, char first, char last) {
    const __m128i from_first = _mm_sub_epi8(bytes, _mm_set1_epi8(first));
    return _mm_cmpeq_epi8(_mm_min_epu8(from_first, _mm_set1_epi8(static_cast<char>(last - first))), from_first);
  };
  const __m128i order = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  const __m128i ours = _mm_cmpgt_epi8(_mm_set1_epi8(static_cast<char>(count)), order);
  const __m128i underscore = _mm_cmpeq_epi8(block, _mm_set1_epi8('_'));
  const __m128i breaks = _mm_or_si128(underscore, _mm_cmpeq_epi8(block, _mm_set1_epi8('-')));
  const __m128i upper = within(block, 'A', 'Z');
  const __m128i letters = within(_mm_or_si128(block, _mm_set1_epi8(0x20)), 'a', 'z');
  const __m128i usual = _mm_or_si128(_mm_or_si128(letters, within(block, '0', '9')), breaks);
  if (_mm_movemask_epi8(_mm_andnot_si128(usual, ours)) != 0) return false;
  const __m128i first = _mm_or_si128(_mm_slli_si128(breaks, 1), after_break);
  const __m128i lowered = _mm_and_si128(_mm_andnot_si128(first, upper), _mm_set1_epi8(0x20));
  const __m128i hyphens = _mm_and_si128(underscore, _mm_set1_epi8('_' ^ '-'));
  const __m128i changes = _mm_and_si128(_mm_or_si128(lowered, hyphens), ours);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(at), _mm_xor_si128(block, changes));
  after_break = _mm_srli_si128(breaks, 15);
  return true;
}
#endif

}  // namespace

bool to_field_name(char* name, std::size_t size, [[maybe_unused]] const char* end) noexcept {
  std::size_t at = 0;
#ifdef __SSE2__
  __m128i after_break = _mm_cvtsi32_si128(0xff);
  while (at < size && end - (name + at) >= 16) {
    const std::size_t count = size - at < 16 ? size - at : 16;
    if (!to_field_name_block(name + at, count, after_break)) break;
    at += count;
  }
#endif
  for (; at < size; ++at) {
    char& c = name[at];
    const bool is_first = at == 0 || name[at - 1] == '-';
    if (!is(c, bytes::token)) return false;
    if (c == '_') c = '-';
    if (!is_first && c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return true;
}

}  // namespace narwhal::protocol
