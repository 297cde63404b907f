// Finds where a head ends, and refuses every byte that no head may hold before anything else looks at it:
// control bytes but HTAB, CR without LF, LF without CR, folded lines, lines over their limit.
// Order      the first offence in the stream decides, so the answer does not depend on how the stream was cut.
// Errors     bad bytes give a Refusal. Never throws, never reads past the bytes given.
#pragma once

#include <cstddef>
#include <string_view>

#include "protocol/http1_head.hpp"
#include "protocol/refusal.hpp"

namespace narwhal::protocol {

struct HeadScan {
  Status status = Status::need_more;
  Refusal refusal;
  std::size_t size = 0;          // complete: bytes of the head with its empty line; need_more: where to go on
  std::size_t request_line = 0;  // bytes of the first line without its CRLF; 0 when its end was not met this time
  bool tabs = false;             // an HTAB was met this time
};

// `bytes` starts with the request line; `from` is 0 or the size an earlier need_more gave. No more than
// `bytes_max` bytes are looked at: a head that has not ended there is too large.
HeadScan scan_head(std::string_view bytes, std::size_t from, std::size_t bytes_max, const HeadLimits& limits) noexcept;

}  // namespace narwhal::protocol
