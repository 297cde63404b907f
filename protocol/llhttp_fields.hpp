// The field lines of a head, split by llhttp: the one door to it.
// Sameness   llhttp refuses some valid heads, which ones depending on its release: a method it has no number for,
//            HTAB around the values it interprets. It is shown a copy of such a head with the method GET and
//            spaces for tabs, and the views are moved back to the original bytes.
// Ownership  the views point into the bytes given.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "core/bytes.hpp"
#include "protocol/refusal.hpp"

namespace narwhal::protocol {

struct CheckedHead {
  std::string_view bytes;   // whole, as scan_head() found it, with its empty line
  std::string_view method;  // as parse_request_line() found it, at the start of the bytes
  bool tabs = false;        // there is an HTAB somewhere
};

// Clears and fills `fields`; values come without outer white space. More than `fields_max` of them (0: no limit): 431.
Refusal split_fields(const CheckedHead& head, std::size_t fields_max, std::vector<Field>& fields) noexcept;

}  // namespace narwhal::protocol
