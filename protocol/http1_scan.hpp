// Finds where a head ends and cuts it into lines, and refuses every byte that no head may hold before anything else
// looks at it: control bytes but HTAB, CR without LF, LF without CR, folded lines, lines over their limit.
// Order      the first offence in the stream decides, so the answer does not depend on how the stream was cut.
// Errors     bad bytes give a Refusal. Never throws but for want of memory, never reads past the bytes given.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "core/bytes.hpp"
#include "protocol/refusal.hpp"

namespace narwhal::protocol {

struct ScanLimits {
  std::size_t request_line, field_line;  // without their CRLF
  std::size_t head;                      // no byte after these is looked at
  std::size_t fields;                    // lines beyond these are counted, not kept
};

struct HeadScan {
  std::size_t stop = 0;          // complete: bytes of the head with its empty line; else where to go on
  std::size_t line = 0;          // where the line begins that the scan stopped in
  std::size_t request_line = 0;  // bytes of the first line without its CRLF; 0 when its end was not met this time
  bool too_many_fields = false;
  bool complete = false;
};

// `bytes` starts with the request line; `from` is 0 or where an earlier scan stopped. Field lines that end after `from`
// are put into `lines`, whole, as names without values.
HeadScan scan_head(std::string_view bytes, std::size_t from, const ScanLimits& limits, std::vector<Field>& lines);

// Of a scan that is not complete: what is wrong, or nothing when more bytes may make it right.
Refusal scan_refusal(std::string_view bytes, const HeadScan& scan, const ScanLimits& limits) noexcept;

// Cuts each scanned line into its name and its value, without outer white space. `end` is that of readable memory.
// has_underscore: whether any of the names holds one.
Refusal split_lines(std::vector<Field>& lines, const char* end, bool& has_underscore) noexcept;

}  // namespace narwhal::protocol
