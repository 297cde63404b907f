// Heads of the uwsgi protocol, as nginx's uwsgi_pass and Apache's mod_proxy_uwsgi send them: bytes in, one Head out.
// Wire        modifier1, size of the variables (16 bits, the least byte first), modifier2; then the variables, each a name and a
//             value after its size (16 bits each). The body follows, of CONTENT_LENGTH bytes: there are none without it.
// Modifiers   0 and 0, a request for a web application, are answered. All others are refused with 501: they ask uWSGI for
//             other languages, for its own signals and caches, or whether it is alive.
// Answer      an HTTP/1.1 head without Connection, and the body up to the end of the connection
//             (http1_response.hpp: encode_uwsgi_head()). One request a connection.
// Ownership   see cgi_variables.hpp: names of fields are rewritten in `bytes`, once the head is there.
// Errors      bad bytes give Status::refused and a Refusal; sizes that disagree with each other: 400. Throws for want of
//             memory alone. Stateless.
// Source      https://uwsgi-docs.readthedocs.io/en/latest/Protocol.html
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/cgi_variables.hpp"

namespace narwhal::protocol {

constexpr std::size_t uwsgi_header_bytes = 4;
constexpr std::size_t uwsgi_head_bytes_max = uwsgi_header_bytes + 0xffff;

struct UwsgiFed : CgiFed {
  std::uint8_t modifier1 = 0, modifier2 = 0;  // once there are four bytes: for the log
};

// `bytes` starts where the connection starts and holds all that has arrived of it; what follows the head may be there too,
// and is not looked at. keep_alive of the head is false.
UwsgiFed decode_uwsgi_head(std::span<char> bytes, const HeadLimits& limits, Head& head, CgiRequest& request);

}  // namespace narwhal::protocol
