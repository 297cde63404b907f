// A second opinion on what llhttp cuts: a request head cut by hand, at spaces, colons and CRLFs, with nothing of the
// product. What the server accepts must be cut in the same places by both; what only llhttp refuses is a loss.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace narwhal::wire {

struct PlainHead {
  std::string_view method, target, version;  // version: "1.1"
  std::vector<std::pair<std::string_view, std::string_view>> fields;
};

// `head` starts with the request line; its lines end in CRLF and its bytes were checked. Nothing: a line is malformed.
std::optional<PlainHead> cut_by_hand(std::string_view head);

}  // namespace narwhal::wire
