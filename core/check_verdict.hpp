// What a process that checks plugins for --check-config says: each step before it begins, then the verdict. Each is one message
// of a socket that keeps messages apart.
// Errors  give_verdict(): false if nobody reads it. A step may be lost.
#pragma once

#include <string>
#include <string_view>

#include "core/result.hpp"
#include "core/step.hpp"
#include "core/write_all.hpp"

namespace narwhal {

constexpr std::size_t check_message_bytes_max = 4000;
constexpr char step_message = '>', passed_message = '+', failed_message = '-';  // the first byte; text follows

inline bool send_check_message(int socket, char kind, std::string_view text) {
  return write_all(socket, kind + std::string(text.substr(0, check_message_bytes_max - 1)));
}

inline bool give_verdict(int socket, const Result<Done>& checked) {
  return checked ? send_check_message(socket, passed_message, "")
                 : send_check_message(socket, failed_message, checked.error());
}

inline AboutTo steps_to(int socket) {
  return [socket](std::string_view step) { send_check_message(socket, step_message, step); };
}

}  // namespace narwhal
