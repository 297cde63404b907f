#include "protocol/http1_scan.hpp"

#include <string.h>

#include <bit>
#include <limits>

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

inline const char* find_control(const char* at, const char* end) noexcept {
#ifdef __SSE2__
  for (; end - at >= 16; at += 16) {
    if (const unsigned found = controls(at)) return at + std::countr_zero(found);
  }
#endif
  while (at != end && !is_control(*at)) ++at;
  return at;
}

constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

class Scanner {
 public:
  Scanner(std::string_view bytes, std::size_t from, std::size_t bytes_max, const HeadLimits& limits) noexcept
      : begin_(bytes.data()),
        end_(begin_ + (bytes.size() < bytes_max ? bytes.size() : bytes_max)),
        cut_off_(bytes.size() > bytes_max),
        at_(begin_ + from),
        line_(begin_),
        first_max_(limits.request_line != 0 ? limits.request_line : unlimited),
        field_max_(limits.field_size == 0 ? unlimited : limits.field_size > 2 ? limits.field_size - 2 : 0) {
    if (from == 0) return;
    const void* last = ::memrchr(begin_, '\n', from);
    if (last != nullptr) line_ = static_cast<const char*>(last) + 1;
  }

  HeadScan run() noexcept {
    while (true) {
      at_ = find_control(at_, end_);
      if (at_ != end_ && *at_ == '\t') {
        scan_.tabs = true;
        ++at_;
        continue;
      }
      if (line_too_long()) return refuse_length();
      if (at_ == end_) return need_more();
      if (*at_ != '\r') return refuse(*at_ == '\n' ? "LF without CR" : "control byte in the head");
      if (end_line()) return scan_;
    }
  }

 private:
  // At a CR. True when the scan is over.
  bool end_line() noexcept {
    if (end_ - at_ < 2) return need_more(), true;
    if (at_[1] != '\n') return refuse("CR without LF"), true;
    if (line_ == begin_) scan_.request_line = static_cast<std::size_t>(at_ - begin_);
    if (end_ - at_ < 3) return need_more(), true;
    if (at_[2] == ' ' || at_[2] == '\t') return refuse("folded field line"), true;
    if (at_[2] != '\r') {
      line_ = at_ += 2;
      return false;
    }
    if (end_ - at_ < 4) return need_more(), true;
    if (at_[3] != '\n') return refuse("CR without LF"), true;
    scan_.status = Status::complete;
    scan_.size = static_cast<std::size_t>(at_ + 4 - begin_);
    return true;
  }

  bool line_too_long() const noexcept {
    return static_cast<std::size_t>(at_ - line_) > (line_ == begin_ ? first_max_ : field_max_);
  }

  HeadScan need_more() noexcept {
    if (cut_off_) return refuse_length();
    scan_.size = static_cast<std::size_t>(at_ - begin_);
    return scan_;
  }
  HeadScan refuse(const char* fault) noexcept {
    scan_.status = Status::refused;
    scan_.refusal = {400, fault};
    return scan_;
  }
  HeadScan refuse_length() noexcept {
    scan_.status = Status::refused;
    if (line_ == begin_) {
      scan_.refusal = {414, "request line too long"};
    } else {
      scan_.refusal = {431, line_too_long() ? "field line too long" : "head too large"};
    }
    return scan_;
  }

  const char* begin_;
  const char* end_;
  bool cut_off_;
  const char* at_;
  const char* line_;  // start of the line that `at_` is in
  std::size_t first_max_, field_max_;
  HeadScan scan_;
};

}  // namespace

HeadScan scan_head(std::string_view bytes, std::size_t from, std::size_t bytes_max, const HeadLimits& limits) noexcept {
  return Scanner(bytes, from, bytes_max, limits).run();
}

}  // namespace narwhal::protocol
