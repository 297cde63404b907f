// Heads of SCGI, as nginx's scgi_pass, Apache's mod_proxy_scgi and lighttpd send them: bytes in, one Head out.
// Wire        <size>:<name NUL value NUL ...>,<body>. The size is decimal without leading zeros, of all between ':' and ','.
// Variables   CONTENT_LENGTH is the first and a number; SCGI is 1; no name comes twice. Else 400.
// Body        of CONTENT_LENGTH bytes.
// Answer      a CGI head, "Status: 200 OK" (http1_response.hpp: encode_cgi_head()), and the body up to the end of the
//             connection. One request a connection.
// Ownership   see cgi_variables.hpp: names of fields are rewritten in `bytes`, once the head is there.
// Errors      bad bytes give Status::refused and a Refusal. Throws for want of memory alone. Stateless.
// Source      https://python.ca/scgi/protocol.txt
#pragma once

#include <span>

#include "protocol/cgi_variables.hpp"

namespace narwhal::protocol {

// `bytes` starts where the connection starts and holds all that has arrived of it; what follows the head may be there too,
// and is not looked at. keep_alive of the head is false.
CgiFed decode_scgi_head(std::span<char> bytes, const HeadLimits& limits, Head& head, CgiRequest& request);

}  // namespace narwhal::protocol
