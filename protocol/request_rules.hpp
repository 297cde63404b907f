// What a request has to be on every wire: its method, its target in one of four forms, its authority, its length. RFC 9110,
// RFC 9112 3.
// Ownership  views of `head` point into the texts given.
// Errors     as a Refusal, whose fault is a literal. Nothing throws. Stateless.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/http1_head.hpp"
#include "protocol/refusal.hpp"

namespace narwhal::protocol {

// Any token of upper-case letters, digits and marks of at most so many bytes reaches the application, known or not. A
// token with a lower-case letter, or a longer one, is not a registered method: 501.
constexpr std::size_t method_bytes_max = 32;

// Sets target, path, query, authority and scheme of `head`, whose method is there already. origin-form; absolute-form
// with http or https (its empty path becomes "/", or "*" for OPTIONS); asterisk-form for OPTIONS alone; authority-form for
// CONNECT alone, which is 501: there is no tunnel here.
Refusal judge_target(std::string_view target, Head& head) noexcept;

// uri-host [ ":" port ], without user information. An empty host is none of this function's business: true.
bool is_authority(std::string_view text) noexcept;

// A Content-Length: decimal digits alone, below 2^63. `length` is set where there is no refusal.
Refusal judge_length(std::string_view digits, std::uint64_t& length) noexcept;

}  // namespace narwhal::protocol
