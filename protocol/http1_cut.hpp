// Cuts a request head into method, target, version, names and values. llhttp does it, in one call over the whole head.
// Before     http1_scan.hpp: llhttp is given no byte that a head may not hold, and a head whose end is known.
// After      http1_target.hpp and http1_head.cpp judge what was cut. What llhttp itself makes of lengths, codings and upgrades
//            differs from one release to the next and is not used; it never sees a body.
// Copies     an ordinary head is never copied. What llhttp refuses and the RFCs allow (methods that it does not know, tabs
//            in some fields) is given to it once more as a copy in which that is replaced; the views are mapped back.
// Ownership  every view points into the bytes given.
// Errors     never throws but for want of memory, which only a copy needs; never reads past the bytes given.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/bytes.hpp"

namespace narwhal::protocol {

struct HeadCut {
  Bytes method, target;
  std::uint8_t minor = 1;  // HTTP/1.minor
  bool line = false;       // the request line is these, with one space between them, in HTTP/1.0 or 1.1
  bool complete = false;   // the whole head was cut, into as many fields as were asked for
  bool copied = false;
};

// `head` begins with the request line and ends with the empty line. `fields` comes with one element for each field line;
// their values lose outer white space. An empty name may be among them. `cut` is a new one.
void cut_head(std::string_view head, std::vector<Field>& fields, HeadCut& cut);

// `line` ends with its CRLF. Never complete.
void cut_request_line(std::string_view line, HeadCut& cut);

// Of the llhttp that cuts.
const char* llhttp_version() noexcept;

}  // namespace narwhal::protocol
