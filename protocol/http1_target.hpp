// The request line and what it names: method, target in its four forms, version, authority. RFC 9112 2.3, 3.
#pragma once

#include <string_view>

#include "protocol/http1_cut.hpp"
#include "protocol/http1_head.hpp"
#include "protocol/refusal.hpp"

namespace narwhal::protocol {

// Judges the line that was cut, and sets method, target, path, query, authority, scheme, minor and is_head of `head`. The
// line itself comes without its CRLF and free of control bytes but HTAB; it says why where it could not be cut.
// Methods    any token of upper-case letters, digits and marks of at most 32 bytes reaches the application, known or
//            not. A token with a lower-case letter, or a longer one, is not a registered method: 501.
// Versions   HTTP/1.0 and HTTP/1.1. Another HTTP/d.d: 505. Anything else: 400.
// Targets    origin-form; absolute-form with http or https (its empty path becomes "/", or "*" for OPTIONS);
//            asterisk-form for OPTIONS alone; authority-form for CONNECT alone, which is 501: there is no tunnel here.
Refusal judge_request_line(const HeadCut& cut, std::string_view line, Head& head) noexcept;

// uri-host [ ":" port ], without user information. An empty host is none of this function's business: true.
bool is_authority(std::string_view text) noexcept;

}  // namespace narwhal::protocol
