// The field lines of a head, split by llhttp: the one door to it.
// Sameness   llhttp knows a fixed list of methods, lets targets and versions through that do not exist, and before
//            9.4 refuses HTAB around the values it interprets. So the request line is not shown to it, only the lines
//            after it, by a parser that has read "GET / HTTP/1.1" once and for all; and HTABs are shown as spaces.
//            What remains is the same in every release.
// Ownership  the views point into the bytes given.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "core/bytes.hpp"
#include "protocol/refusal.hpp"

namespace narwhal::protocol {

struct FieldLines {
  std::string_view bytes;  // from after the request line to the end of the empty line, as scan_head() checked them
  bool tabs = false;       // there may be an HTAB among them
};

// Clears and fills `fields`; values come without outer white space. More than `fields_max` of them (0: no limit): 431.
Refusal split_fields(const FieldLines& lines, std::size_t fields_max, std::vector<Field>& fields) noexcept;

}  // namespace narwhal::protocol
