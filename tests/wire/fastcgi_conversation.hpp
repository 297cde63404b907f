// One side of a FastCGI connection, as a server keeps it: what was read and kept, in a block of exactly its size; and a
// transcript of what happens, which does not depend on how the network cuts the stream:
//   "head: ..."  what cgi_meaning.hpp says; "whole" after it: no body
//   "body: ..."  all pieces together
//   "end", "aborted", "reply: ..." (what reply_text() says), "last reply: ...", "400: why"
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "protocol/fastcgi_reader.hpp"
#include "tests/wire/cgi_meaning.hpp"
#include "tests/wire/exact_copy.hpp"

namespace narwhal::wire {

// Of the records that a reader answers with, and nothing else.
inline std::string reply_text(std::string_view bytes) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned>(static_cast<unsigned char>(bytes[at])); };
  if (bytes.size() < 8 || byte(0) != 1 || bytes.size() != 8 + (byte(4) << 8 | byte(5)) || byte(6) != 0) return "?";
  const unsigned type = byte(1), id = byte(2) << 8 | byte(3);
  if (type == 11 && id == 0 && bytes.size() == 16) return "UNKNOWN_TYPE " + std::to_string(byte(8));
  if (type == 3 && bytes.size() == 16) {
    const unsigned status = byte(8) << 24 | byte(9) << 16 | byte(10) << 8 | byte(11);
    return "END_REQUEST id " + std::to_string(id) + " application " + std::to_string(status) + " protocol " +
           std::to_string(byte(12));
  }
  if (type != 10 || id != 0) return "?";
  std::string text = "VALUES";
  for (std::size_t at = 8; at + 2 <= bytes.size();) {
    const std::size_t name = byte(at), value = byte(at + 1);
    if (bytes.size() - at - 2 < name + value) return "?";
    text.append(" ").append(bytes.substr(at + 2, name)).append("=").append(bytes.substr(at + 2 + name, value));
    at += 2 + name + value;
  }
  return text;
}

// When the application answers: as soon as a request is whole, or never.
enum class Answers : std::uint8_t { at_once, never };

class FastcgiConversation {
 public:
  explicit FastcgiConversation(Answers answers, const protocol::HeadLimits& limits = {})
      : answers_(answers), reader_(limits, {.connections_max = 100, .requests_max = 7}) {}

  // False: the connection is over.
  bool arrive(std::string_view piece) {
    std::string bytes = std::exchange(kept_, {});
    const std::size_t from = bytes.size();
    bytes += piece;
    ExactCopy copy(bytes);
    std::size_t at = from;
    while (in_body_ || at < bytes.size()) {
      const protocol::fastcgi::Fed fed = feed(copy, at);
      if (fed.event == protocol::fastcgi::Event::need_more) break;
      if (!note(fed)) return false;
    }
    // Behind what is kept there is nothing that the reader needs.
    if (!in_body_) kept_ = copy.view().substr(0, reader_.kept());
    return true;
  }

  std::string transcript() const { return body_.empty() ? transcript_ : transcript_ + "body: " + body_ + "\n"; }
  const protocol::fastcgi::Reader& reader() const { return reader_; }
  const protocol::Head& head() const { return head_; }
  const protocol::CgiRequest& request() const { return request_; }
  bool intact() const { return intact_; }  // of the last head
  // The records of the last head, if `intact`.
  const std::string& head_bytes() const { return head_bytes_; }

 private:
  protocol::fastcgi::Fed feed(ExactCopy& copy, std::size_t& at) {
    if (in_body_) {
      const protocol::fastcgi::Fed fed = reader_.feed_body(copy.view().substr(at));
      at += fed.consumed;
      return fed;
    }
    const protocol::fastcgi::Fed fed = reader_.feed_head(copy.span(), at, head_, request_);
    at = fed.consumed;
    if (fed.event == protocol::fastcgi::Event::head) {
      intact_ = fed.intact;
      if (fed.intact) head_bytes_ = copy.view().substr(fed.begin, fed.consumed - fed.begin);
      head_text_ = text_of(head_, request_);
    }
    return fed;
  }

  void say(const std::string& line) {
    if (!body_.empty()) transcript_ += "body: " + std::exchange(body_, {}) + "\n";
    transcript_ += line + "\n";
  }

  void answer() {
    if (answers_ == Answers::never) return;
    reader_.next_request();
    in_body_ = false;
  }

  bool note(const protocol::fastcgi::Fed& fed) {
    using protocol::fastcgi::Event;
    switch (fed.event) {
      case Event::need_more: break;
      case Event::head: {
        const bool whole = head_.framing != protocol::Framing::chunked && head_.content_length == 0;
        say("head: " + head_text_ + (whole ? " whole" : ""));
        in_body_ = true;
        if (whole) answer();
        break;
      }
      case Event::body: body_ += fed.bytes; break;
      case Event::end:
        say("end");
        answer();
        break;
      case Event::aborted:
        say("aborted");
        answer();
        break;
      case Event::reply: say((fed.last ? "last reply: " : "reply: ") + reply_text(fed.bytes)); return !fed.last;
      case Event::refused: say(text_of(fed.refusal)); return false;
    }
    return true;
  }

  Answers answers_;
  protocol::fastcgi::Reader reader_;
  protocol::Head head_;
  protocol::CgiRequest request_;
  bool in_body_ = false, intact_ = false;
  std::string kept_, transcript_, body_, head_text_, head_bytes_;
};

// The transcript of a whole stream that comes in pieces of these sizes.
template <class NextSize>
std::string fastcgi_transcript(std::string_view stream, Answers answers, NextSize next_size,
                               const protocol::HeadLimits& limits = {}) {
  FastcgiConversation conversation(answers, limits);
  while (!stream.empty()) {
    const std::string_view piece = stream.substr(0, next_size());
    stream.remove_prefix(piece.size());
    if (!conversation.arrive(piece)) break;
  }
  return conversation.transcript();
}

}  // namespace narwhal::wire
