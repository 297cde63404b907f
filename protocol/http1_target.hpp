// The request line of HTTP/1: method, target and version. RFC 9112 2.3, 3.
#pragma once

#include <string_view>

#include "protocol/http1_cut.hpp"
#include "protocol/http1_head.hpp"
#include "protocol/refusal.hpp"

namespace narwhal::protocol {

// Judges the line that was cut, and sets method, target, path, query, authority, scheme, minor and is_head of `head`. The
// line itself comes without its CRLF and free of control bytes but HTAB; it says why where it could not be cut.
// Methods, targets  as request_rules.hpp has them.
// Versions          HTTP/1.0 and HTTP/1.1. Another HTTP/d.d: 505. Anything else: 400.
Refusal judge_request_line(const HeadCut& cut, std::string_view line, Head& head) noexcept;

}  // namespace narwhal::protocol
