// Whether a request's path is below a mount's prefix.
// Dot segments   A path with a segment "." or ".." in it, however it is escaped, is below no prefix: it goes to the root's
//                mount as it is. Web servers in front take "/api/../x" for "/x" by their rules, and pass on what the client
//                sent: a rule that protects "/api" would not hold.
// Errors         none. Threads: any.
#pragma once

#include <string_view>

namespace narwhal::worker {

bool has_dot_segment(std::string_view path) noexcept;  // the path is not decoded
// `prefix` is decoded, and has no slash at its end; "" is the root.
bool is_below(std::string_view path, std::string_view prefix) noexcept;

}  // namespace narwhal::worker
