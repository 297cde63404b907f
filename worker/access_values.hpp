// What an access line says of an exchange, as bytes that are not escaped yet. Empty: there is no such value.
// Threads  the holder of the baton.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/access_format.hpp"
#include "core/clock.hpp"

namespace narwhal::worker {

class Exchange;

// What was answered. Where the host has answered while a handler still runs, the exchange's parts belong to the handler's
// thread.
struct Answered {
  // Of a request without a status line in its answer: the client has left, as nginx writes it; or we have dropped it.
  static constexpr int client_left = 499, none = 0;
  int status;
  std::uint64_t body_bytes;
  bool own = true;  // the answer is the exchange's own: its response head and variables may be read
};

// The user name of "Basic dXNlcjpwYXNz".
std::string basic_user(std::string_view authorization);
// The path without the query, decoded if it can be.
std::string decoded_path(const Exchange& exchange);
std::string_view protocol_of(const Exchange& exchange);  // "-": nothing of a refused request was understood
std::string request_line(const Exchange& exchange);
std::chrono::nanoseconds time_taken(const Exchange& exchange, Instant now);
// Calls use(name, value) for each field of the response head as it was sent.
template <class Use>
void for_each_response_field(std::string_view head, Use&& use) {
  for (std::size_t line_end = head.find("\r\n"); line_end != std::string_view::npos; line_end = head.find("\r\n")) {
    head.remove_prefix(line_end + 2);
    const std::string_view line = head.substr(0, head.find("\r\n"));
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos) use(line.substr(0, colon), line.substr(std::min(colon + 2, line.size())));
  }
}
// A request field, a response field or a variable: of {name}i, {name}o and {name}e.
std::string_view named_value(const AccessPiece& piece, const Exchange& exchange, const Answered& answered);

}  // namespace narwhal::worker
