#include "protocol/http1_scan.hpp"

#include <string.h>

#include <algorithm>
#include <bit>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace narwhal::protocol {
namespace {

constexpr bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

#ifdef __SSE2__
// One bit for each control byte among the sixteen at `at`.
inline unsigned controls(const char* at) noexcept {
  const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
  const __m128i del = _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(low, del)));
}
#endif

inline const char* find_control(const char* at, const char* end, [[maybe_unused]] const char* begin) noexcept {
#ifdef __SSE2__
  for (; end - at >= 16; at += 16) {
    if (const unsigned found = controls(at)) return at + std::countr_zero(found);
  }
  if (end - begin >= 16) {  // the rest, as the end of a block that may overlap what was seen already
    const unsigned found = controls(end - 16) >> (16 - (end - at));
    return found != 0 ? at + std::countr_zero(found) : end;
  }
#endif
  while (at != end && !is_control(*at)) ++at;
  return at;
}

inline bool is_crlf(const char* at) noexcept { return at[0] == '\r' && at[1] == '\n'; }

// Where the line begins that `at` is in.
const char* line_start(const char* begin, const char* at) noexcept {
  const void* const last = ::memrchr(begin, '\n', static_cast<std::size_t>(at - begin));
  return last != nullptr ? static_cast<const char*>(last) + 1 : begin;
}

// The fault of bytes that start with a control byte other than HTAB. Null: more of them may make it right.
const char* fault_of(std::string_view bytes) noexcept {
  if (bytes.empty()) return nullptr;
  if (bytes[0] == '\n') return "LF without CR";
  if (bytes[0] != '\r') return "control byte in the head";
  if (bytes.size() == 1) return nullptr;
  if (bytes[1] != '\n') return "CR without LF";
  if (bytes.size() == 2) return nullptr;
  if (bytes[2] == ' ' || bytes[2] == '\t') return "folded field line";
  return fault_of(bytes.substr(2));  // a CR that starts the empty line, or a byte that starts no line
}

// The first record of TLS is a handshake (22) of version 3.x.
bool begins_tls(std::string_view bytes) noexcept {
  return bytes.starts_with('\x16') && (bytes.size() == 1 || bytes[1] == '\x03');
}

}  // namespace

HeadScan scan_head(std::string_view bytes, std::size_t from, const ScanLimits& limits) noexcept {
  const char* const begin = bytes.data();
  const char* const end = begin + std::min(bytes.size(), limits.head);
  const char* at = begin + from;
  const char* line = from == 0 ? begin : line_start(begin, at);
  HeadScan scan;
  while (true) {
    at = find_control(at, end, begin);
    if (at != end && *at == '\t') {
      ++at;
      continue;
    }
    const auto length = static_cast<std::size_t>(at - line);
    if (end - at < 2 || !is_crlf(at)) break;
    if (line == begin) {
      if (length > limits.request_line) break;
      scan.request_line = length;
    } else if (length > limits.field_line) {
      break;
    } else {
      ++scan.field_lines;
    }
    if (end - at < 3) break;
    if (static_cast<unsigned char>(at[2]) <= ' ') {  // the empty line, or a fault
      scan.complete = end - at >= 4 && is_crlf(at + 2);
      if (scan.complete) at += 4;
      break;
    }
    line = at += 2;
  }
  scan.stop = static_cast<std::size_t>(at - begin);
  scan.line = static_cast<std::size_t>(line - begin);
  return scan;
}

Refusal scan_refusal(std::string_view bytes, const HeadScan& scan, const ScanLimits& limits) noexcept {
  const bool first = scan.line == 0;
  const bool line_too_long = scan.stop - scan.line > (first ? limits.request_line : limits.field_line);
  const char* const fault = fault_of(bytes.substr(0, limits.head).substr(scan.stop));
  const bool head_too_large = fault == nullptr && bytes.size() > limits.head;
  if (line_too_long || head_too_large) {
    if (first) return {414, "request line too long"};
    return {431, line_too_long ? "field line too long" : "head too large"};
  }
  if (fault != nullptr && begins_tls(bytes)) return {400, "the client speaks TLS to a port that serves plain HTTP"};
  if (fault != nullptr) return {400, fault};
  return {};
}

}  // namespace narwhal::protocol
