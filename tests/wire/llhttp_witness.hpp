// A second opinion on field lines, by llhttp, whose releases differ from each other and from the RFCs as the tables say.
// What our decoder accepts, it must split in the same way; what it alone accepts must be one of its known errors.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace narwhal::wire {

using PlainFields = std::vector<std::pair<std::string, std::string>>;

// `lines`: from after the request line to the end of the empty line. Nothing: llhttp refuses them.
// HTABs are shown to it as spaces (before 9.4 it refuses some), and returned as they were; outer white space is taken off.
std::optional<PlainFields> llhttp_fields(std::string_view lines);

}  // namespace narwhal::wire
