// What the decoders of FastCGI, SCGI and uwsgi made of a request, in the words of the tables: what meaning.hpp says of the
// head, then where they are known the scheme, "^" the mount prefix and how many bytes of the path spell it, "~" the client.
#pragma once

#include <string>

#include "protocol/cgi_variables.hpp"
#include "tests/wire/address_text.hpp"
#include "tests/wire/meaning.hpp"

namespace narwhal::wire {

inline std::string text_of(const protocol::Head& head, const protocol::CgiRequest& request) {
  std::string text = text_of(head);
  if (head.scheme.size != 0) text.append(" ").append(head.scheme.view());
  if (request.prefix.size != 0) {
    text.append(" ^").append(request.prefix.view()).append("(").append(std::to_string(request.prefix_size)).append(")");
  }
  if (request.names_remote) {
    text.append(" ~").append(address_text(request.remote)).append(":").append(std::to_string(request.remote_port));
  }
  return text;
}

inline std::string text_of(const protocol::Refusal& refusal) {
  return std::to_string(refusal.http_status) + ": " + refusal.fault;
}

// Of a decoder that takes a whole head, and how many bytes follow it.
inline std::string meaning_of(const protocol::CgiFed& fed, const protocol::Head& head,
                              const protocol::CgiRequest& request, std::size_t given) {
  if (fed.status == protocol::Status::need_more) return "more";
  if (fed.status == protocol::Status::refused) return text_of(fed.refusal);
  return text_of(head, request) + " +" + std::to_string(given - fed.consumed);
}

}  // namespace narwhal::wire
