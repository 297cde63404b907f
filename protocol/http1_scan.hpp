// Finds where a head ends, counts its lines, and refuses every byte that no head may hold before anything else looks at
// it: control bytes but HTAB, CR without LF, LF without CR, folded lines, lines over their limit.
// Order      the first offence in the stream decides, so the answer does not depend on how the stream was cut.
// Errors     bad bytes give a Refusal. Never throws, never reads past the bytes given.
#pragma once

#include <cstddef>
#include <string_view>

#include "protocol/refusal.hpp"

namespace narwhal::protocol {

struct ScanLimits {
  std::size_t request_line, field_line;  // without their CRLF
  std::size_t head;                      // no byte after these is looked at
};

struct HeadScan {
  std::size_t stop = 0;          // complete: bytes of the head with its empty line; else where to go on
  std::size_t line = 0;          // where the line begins that the scan stopped in
  std::size_t request_line = 0;  // bytes of the first line without its CRLF; 0 when its end was not met this time
  std::size_t field_lines = 0;   // that ended this time
  bool complete = false;
};

// `bytes` starts with the request line; `from` is 0 or where an earlier scan stopped.
HeadScan scan_head(std::string_view bytes, std::size_t from, const ScanLimits& limits) noexcept;

// Of a scan that is not complete: what is wrong, or nothing when more bytes may make it right.
Refusal scan_refusal(std::string_view bytes, const HeadScan& scan, const ScanLimits& limits) noexcept;

}  // namespace narwhal::protocol
