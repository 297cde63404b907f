// What the decoders made of some bytes, in the words of the tables.
#pragma once

#include <string>
#include <string_view>

#include "protocol/http1_chunks.hpp"
#include "protocol/http1_head.hpp"

namespace narwhal::wire {

inline std::string framing_of(const protocol::Head& head) {
  switch (head.framing) {
    case protocol::Framing::none: return "none";
    case protocol::Framing::length: return "length=" + std::to_string(head.content_length);
    case protocol::Framing::chunked: return "chunked";
  }
  return "?";
}

inline std::string text_of(const protocol::Head& head) {
  std::string text(head.method.view());
  text.append(" ").append(head.path.view());
  if (head.query.data != nullptr) text.append("?").append(head.query.view());
  text.append(" 1.").append(std::to_string(head.minor));
  text.append(head.keep_alive ? " keep " : " close ").append(framing_of(head));
  if (head.expect_continue) text.append(" continue");
  text.append(" @").append(head.authority.view());
  for (const Field& field : head.fields) text.append(" | ").append(field.name).append(": ").append(field.value);
  return text;
}

inline std::string meaning_of(const protocol::HeadFed& fed, const protocol::Head& head) {
  if (fed.status == protocol::Status::need_more) return "more";
  if (fed.status == protocol::Status::refused) return std::to_string(fed.http_status);
  return text_of(head);
}

}  // namespace narwhal::wire
