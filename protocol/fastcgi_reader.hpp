// FastCGI 1.0 as a web server speaks it to a responder: records in, in any pieces; heads, bodies and answers to records out.
// One request at a time on each connection: while it is in hand, another BEGIN_REQUEST is refused with CANT_MPX_CONN.
//   feed_head() until `head`, then feed_body() until `end`; then, or earlier, next_request() when END_REQUEST has been
//   written. Each call returns after one event, `consumed` bytes later: call again with the rest. A request without a body
//   (Framing::none, or a length of 0) is whole with its `head`, and no `end` follows.
// PARAMS     stay in the caller's buffer. Those of one record are not moved; of more records, and in more pieces, they are
//            moved together over the headers between them.
// Length     CONTENT_LENGTH; STDIN has to be as long. Where it is 0 or not there (nginx sends none for a chunked body), the
//            `head` comes after the header of STDIN's first record. Without CONTENT_LENGTH, that record says whether there is
//            a body: Framing::none, or Framing::chunked, of a length that its end shows.
// Answered   GET_VALUES; an unknown type with UNKNOWN_TYPE; a role other than responder with UNKNOWN_ROLE; ABORT_REQUEST
//            within the PARAMS with END_REQUEST. These come as `reply`, whose bytes go to the web server as they are.
// Ignored    records of requests that are not in hand, padding, DATA.
// Refused    another version; BEGIN_REQUEST for the request in hand, or of another size than 8; PARAMS or STDIN where they
//            cannot be; types that only an application sends; a length that disagrees; what cgi_variables.hpp refuses; PARAMS
//            of more than head_bytes_max(). It is final: the connection has to end. Where request_id() is not 0, an answer
//            can be written before that.
// Ownership  views are of the caller's bytes; those of a `reply` are valid until the next call.
// Errors     as a Refusal. Only feed_head() throws, for want of memory.
// Threads    none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "protocol/cgi_variables.hpp"
#include "protocol/fastcgi_records.hpp"
#include "protocol/fastcgi_values.hpp"

namespace narwhal::protocol::fastcgi {

enum class Event : std::uint8_t {
  need_more,  // all bytes are consumed
  head,       // the Head is there; its views are of `bytes`
  body,       // Fed::bytes are a piece of the body, not empty
  end,        // of the body: the request is whole
  reply,      // Fed::bytes are to be sent, between other records
  aborted,    // the web server wants no answer any more: only END_REQUEST
  refused,
};

struct Fed {
  Event event = Event::need_more;
  bool last = false;         // reply: the connection is to be closed after it
  bool intact = false;       // head: bytes[begin, consumed) are the request's records, and nothing else
  std::size_t begin = 0;     // head: where BEGIN_REQUEST is, if `intact`
  std::size_t consumed = 0;  // from the front of `bytes`
  std::string_view bytes;
  Refusal refusal;
};

class Reader {
 public:
  Reader(const HeadLimits& limits, const Capacity& capacity) noexcept : limits_(limits), capacity_(capacity) {}

  // Reads bytes[from, ...). Before them lie the kept() bytes that earlier calls of this head have left there: after
  // need_more everything after them may be dropped, and the next bytes belong there; they may all move elsewhere
  // meanwhile. After `reply` call again with the same bytes, from `consumed` on.
  Fed feed_head(std::span<char> bytes, std::size_t from, Head& head, CgiRequest& request);
  std::size_t kept() const noexcept { return params_end_; }

  // Reads all bytes given. Also while the request is being answered: `aborted` and `reply` come then, too.
  Fed feed_body(std::string_view bytes) noexcept;

  // The request has been answered, or nobody answers it. What still comes of it is ignored. For feed_head().
  void next_request() noexcept;

  std::uint16_t request_id() const noexcept { return id_; }  // of the request in hand; 0: there is none
  bool keeps_connection() const noexcept { return keep_; }   // KEEP_CONN of the request in hand, or the last one
  bool between_records() const noexcept { return state_ == State::header && small_bytes_ == 0; }
  bool in_request() const noexcept { return phase_ != Phase::idle; }
  // Between two requests, and within no record: a web server may close the connection here.
  bool at_rest() const noexcept { return phase_ == Phase::idle && state_ == State::header && small_bytes_ == 0; }

 private:
  enum class State : std::uint8_t { header, begin, params, standard_in, values, skip, padding, broken };
  // Of the request: `first_body`: its PARAMS are there, and the first record of STDIN decides whether there is a body.
  enum class Phase : std::uint8_t { idle, params, first_body, body, in_hand, aborted };
  // What is due when the content of a record has been read.
  enum class Due : std::uint8_t { nothing, begin, params_end, body_end, abort, values, unknown_type, refuse_begin };
  struct Room {
    std::span<char> bytes;
    Head& head;
    CgiRequest& request;
    bool decoded = false;  // in this call
  };

  Fed run(std::string_view bytes, std::size_t from, Room* room);
  bool read_header(std::string_view bytes, std::size_t& at, Fed& fed, Room* room);
  bool read_padding(std::string_view bytes, std::size_t& at) noexcept;
  bool read_content(std::string_view bytes, std::size_t& at, Fed& fed, Room* room);
  void keep_params(Room& room, std::size_t at, std::size_t size) noexcept;

  Refusal begin_record() noexcept;
  void begin_management(Type type) noexcept;
  Refusal begin_begin() noexcept;
  Refusal begin_params() noexcept;
  Refusal begin_standard_in() noexcept;
  void skip(Due due = Due::nothing) noexcept;

  bool end_content(Fed& fed, Room* room);
  bool begin_request(Fed& fed) noexcept;
  bool abort(Fed& fed) noexcept;
  Refusal decode_params(Room& room);
  bool end_params(Fed& fed, Room& room);
  bool give_undecided_head(Fed& fed, Room& room);
  bool give_head(Fed& fed) noexcept;
  bool reply(Fed& fed, std::size_t size) noexcept;
  bool reply_end(Fed& fed, const End& end) noexcept;
  bool refuse(Fed& fed, const Refusal& refusal) noexcept;

  HeadLimits limits_;
  Capacity capacity_;
  State state_ = State::header;
  Phase phase_ = Phase::idle;
  Due due_ = Due::nothing;
  bool keep_ = false;
  bool intact_ = true;
  bool length_known_ = false;
  std::uint8_t small_bytes_ = 0;  // in small_
  std::uint16_t id_ = 0;
  std::uint32_t left_ = 0;  // of the content of the record
  Header record_;           // that is being read
  std::size_t begin_ = 0;   // where BEGIN_REQUEST is, while intact_
  std::size_t params_begin_ = 0, params_end_ = 0;
  std::uint64_t body_left_ = 0;  // of CONTENT_LENGTH
  AskedValues values_;
  Refusal broken_;            // why
  char small_[header_bytes];  // a header or BEGIN_REQUEST in pieces
  char reply_[values_result_bytes_max];
};

}  // namespace narwhal::protocol::fastcgi
