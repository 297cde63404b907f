// Which compressed form of a file a client prefers: its Accept-Encoding.
// Ownership  literals.
// Errors     what cannot be read is treated as absent.
// Threads    any.
// Source     RFC 9110 12.4.2 (weights), 12.5.3 (Accept-Encoding).
#pragma once

#include <narwhal/headers.hpp>

#include <array>
#include <string_view>

namespace narwhal::static_files {

struct Coding {
  std::string_view name;    // in Content-Encoding: "br"
  std::string_view ending;  // of the file beside: ".br"
};

// Those that the client prefers to the file as it is, the best first; the rest are empty. Of two with the same weight the
// one that is smaller as a rule comes first: br before gzip. A client that does not name "identity" accepts it, but wants it
// least.
using Codings = std::array<Coding, 2>;
Codings preferred_codings(const RequestHeaders& headers);

}  // namespace narwhal::static_files
