// The Range field: which parts of a body a client asks for.
// Ownership  values.
// Errors     what is not a list of byte ranges is ignored, as the RFC asks.
// Threads    any.
// Units      positions and sizes are in bytes.
// Source     RFC 9110 14.1.2, 14.2.
#pragma once

#include <narwhal/text.hpp>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace narwhal {

struct ByteRange {
  std::int64_t first, last;  // both included
  std::int64_t size() const noexcept { return last - first + 1; }
  bool operator==(const ByteRange&) const noexcept = default;
};

struct AskedRanges {
  enum class Kind : unsigned char {
    whole,          // no ranges, or none that need be honoured: the answer is 200
    parts,          // 206
    unsatisfiable,  // 416: nothing that was asked for exists
  };
  Kind kind = Kind::whole;
  std::vector<ByteRange> parts = {};
};

namespace detail {

inline bool is_digits(std::string_view text) noexcept {
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
  }
  return !text.empty();
}
// A position; what does not fit is after every end.
inline std::int64_t position(std::string_view digits) noexcept {
  return parse_number<std::int64_t>(digits).value_or(INT64_MAX);
}

// Adds the range that `spec` names if any of it exists. False when it is not a range.
inline bool take_range(std::string_view spec, std::int64_t size, std::vector<ByteRange>& parts) {
  const std::size_t dash = spec.find('-');
  if (dash == spec.npos) return false;
  const std::string_view first = spec.substr(0, dash), last = spec.substr(dash + 1);
  if (first.empty()) {  // the last bytes
    if (!is_digits(last)) return false;
    const std::int64_t wanted = position(last);
    if (wanted > 0) parts.push_back({wanted < size ? size - wanted : 0, size - 1});
    return true;
  }
  if (!is_digits(first) || (!last.empty() && !is_digits(last))) return false;
  const std::int64_t begin = position(first), end = last.empty() ? INT64_MAX : position(last);
  if (end < begin) return false;
  if (begin < size) parts.push_back({begin, end < size ? end : size - 1});
  return true;
}

}  // namespace detail

// `field` is the Range field's value, `size` that of the whole body. More than `most` ranges, and ranges that overlap,
// are answered with the whole body: they are how a client makes a server send more than there is (RFC 9110 17.15).
inline AskedRanges parse_ranges(std::string_view field, std::int64_t size, std::size_t most = 16) {
  constexpr std::string_view unit = "bytes=";
  if (!equal_ignoring_case(field.substr(0, unit.size()), unit) || size == 0) return {};
  field.remove_prefix(unit.size());
  AskedRanges asked;
  std::size_t named = 0;
  bool more = true;
  while (more) {
    std::string_view spec = field.substr(0, field.find(','));
    more = spec.size() < field.size();
    field.remove_prefix(more ? spec.size() + 1 : spec.size());
    while (!spec.empty() && (spec.front() == ' ' || spec.front() == '\t')) spec.remove_prefix(1);
    while (!spec.empty() && (spec.back() == ' ' || spec.back() == '\t')) spec.remove_suffix(1);
    if (spec.empty()) continue;  // a list may have empty elements (RFC 9110 5.6.1.2)
    if (++named > most || !detail::take_range(spec, size, asked.parts)) return {};
  }
  if (named == 0) return {};
  for (std::size_t i = 0; i < asked.parts.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (asked.parts[i].first <= asked.parts[j].last && asked.parts[j].first <= asked.parts[i].last) return {};
    }
  }
  asked.kind = asked.parts.empty() ? AskedRanges::Kind::unsatisfiable : AskedRanges::Kind::parts;
  return asked;
}

}  // namespace narwhal
