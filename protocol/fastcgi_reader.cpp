#include "protocol/fastcgi_reader.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/check.hpp"

namespace narwhal::protocol::fastcgi {
namespace {

constexpr std::uint32_t cut_off_status = 1;  // of a request that was aborted before there was anybody to answer it

unsigned byte_of(char c) noexcept { return static_cast<unsigned char>(c); }

// Takes a length of one or four bytes off the front. False: it is not whole.
bool take_length(std::span<char>& left, std::size_t& length) noexcept {
  if (left.empty()) return false;
  length = byte_of(left[0]);
  if (length < 0x80) {
    left = left.subspan(1);
    return true;
  }
  if (left.size() < 4) return false;
  length = (length & 0x7f) << 24 | byte_of(left[1]) << 16 | byte_of(left[2]) << 8 | byte_of(left[3]);
  left = left.subspan(4);
  return true;
}

Refusal decode_pairs(std::span<char> block, CgiVariables& variables) {
  while (!block.empty()) {
    std::size_t name = 0, value = 0;
    if (!take_length(block, name) || !take_length(block, value)) return {400, "PARAMS that end within a length"};
    if (name > block.size() || value > block.size() - name) return {400, "PARAMS with a length beyond their end"};
    const std::span<char> text = block.subspan(name, value);
    if (const Refusal refusal = variables.add(block.first(name), {text.data(), text.size()})) return refusal;
    block = block.subspan(name + value);
  }
  return variables.finish();
}

}  // namespace

// ---- for the caller ----

Fed Reader::feed_head(std::span<char> bytes, std::size_t from, Head& head, CgiRequest& request) {
  Room room{bytes, head, request};
  return run({bytes.data(), bytes.size()}, from, &room);
}

Fed Reader::feed_body(std::string_view bytes) noexcept {
  const bool has_head = phase_ == Phase::body || phase_ == Phase::in_hand || phase_ == Phase::aborted;
  NARWHAL_CHECK(has_head || state_ == State::broken);
  return run(bytes, 0, nullptr);
}

void Reader::next_request() noexcept {
  if (phase_ == Phase::idle) return;
  phase_ = Phase::idle;
  id_ = 0;
  params_begin_ = params_end_ = 0;
  if (state_ == State::params || state_ == State::standard_in) state_ = State::skip;
  if (due_ == Due::params_end || due_ == Due::body_end || due_ == Due::abort) due_ = Due::nothing;
}

// ---- the states ----

Fed Reader::run(std::string_view bytes, std::size_t from, Room* room) {
  Fed fed;
  std::size_t at = from;
  bool over = false;
  while (!over) {
    switch (state_) {
      case State::broken: over = refuse(fed, broken_); break;
      case State::header: over = read_header(bytes, at, fed, room); break;
      case State::padding: over = read_padding(bytes, at); break;
      default: over = read_content(bytes, at, fed, room); break;
    }
  }
  fed.consumed = at;
  // What was read before is not in the caller's hands any more, or something else was said in between.
  if (fed.event == Event::need_more || fed.event == Event::reply) intact_ = false;
  return fed;
}

// True, here and below: the call is over, with the event that was set or for want of bytes.
bool Reader::read_header(std::string_view bytes, std::size_t& at, Fed& fed, Room* room) {
  if (phase_ == Phase::idle && small_bytes_ == 0) {
    begin_ = at;
    intact_ = true;
  }
  const std::size_t missing = header_bytes - small_bytes_, taken = std::min(missing, bytes.size() - at);
  const bool at_once = taken == header_bytes;
  if (!at_once) std::memcpy(small_ + small_bytes_, bytes.data() + at, taken);
  if (taken < missing) {
    small_bytes_ = static_cast<std::uint8_t>(small_bytes_ + taken);
    at += taken;
    return true;
  }
  record_ = decode_header(at_once ? bytes.data() + at : small_);
  at += taken;
  small_bytes_ = 0;
  left_ = record_.content;
  const bool is_first_of_body = phase_ == Phase::first_body;
  if (const Refusal refusal = begin_record()) return refuse(fed, refusal);
  return is_first_of_body && phase_ == Phase::body && give_undecided_head(fed, *room);
}

bool Reader::read_padding(std::string_view bytes, std::size_t& at) noexcept {
  const std::size_t taken = std::min<std::size_t>(record_.padding, bytes.size() - at);
  record_.padding = static_cast<std::uint8_t>(record_.padding - taken);
  at += taken;
  if (record_.padding != 0) return true;
  state_ = State::header;
  return false;
}

bool Reader::read_content(std::string_view bytes, std::size_t& at, Fed& fed, Room* room) {
  if (left_ != 0) {
    const std::string_view piece = bytes.substr(at, left_);
    if (piece.empty()) return true;
    if (state_ == State::begin) std::memcpy(small_ + header_bytes - left_, piece.data(), piece.size());
    if (state_ == State::params) keep_params(*room, at, piece.size());
    if (state_ == State::values) values_.feed(piece);
    at += piece.size();
    left_ -= static_cast<std::uint32_t>(piece.size());
    if (state_ == State::standard_in) {
      fed.event = Event::body;
      fed.bytes = piece;
      return true;
    }
    if (left_ != 0) return true;
  }
  state_ = State::padding;
  return end_content(fed, room);
}

// The first piece stays where it is; so do the others, as long as there is nothing in between.
void Reader::keep_params(Room& room, std::size_t at, std::size_t size) noexcept {
  if (params_end_ == params_begin_) params_begin_ = params_end_ = at;
  if (params_end_ != at) {
    std::memmove(room.bytes.data() + params_end_, room.bytes.data() + at, size);
    intact_ = false;
  }
  params_end_ += size;
}

// ---- a record begins ----

void Reader::skip(Due due) noexcept {
  state_ = State::skip;
  due_ = due;
}

// What is to be done with the content, and after it.
Refusal Reader::begin_record() noexcept {
  if (record_.version != version) return {400, "FastCGI version is not 1"};
  skip();
  if (record_.type == 0 || record_.type > static_cast<std::uint8_t>(Type::unknown_type)) {
    return skip(Due::unknown_type), Refusal{};
  }
  const Type type{record_.type};
  if (record_.id == no_request) return begin_management(type), Refusal{};
  if (type == Type::begin_request) return begin_begin();
  if (record_.id != id_) return {};  // of a request that has ended, or never was
  switch (type) {
    case Type::abort_request:
      if (phase_ != Phase::aborted) skip(Due::abort);
      return {};
    case Type::params: return begin_params();
    case Type::standard_in: return begin_standard_in();
    case Type::data: return {};  // a filter's second input, which a responder does not have
    default: return {400, "FastCGI record of a type that only an application sends"};
  }
}

void Reader::begin_management(Type type) noexcept {
  if (type == Type::get_values) {
    values_ = AskedValues{};
    state_ = State::values;
    due_ = Due::values;
  } else if (type != Type::get_values_result && type != Type::unknown_type) {
    skip(Due::unknown_type);  // an answer to an answer would never end
  }
}

Refusal Reader::begin_begin() noexcept {
  if (record_.content != header_bytes) return {400, "FastCGI BEGIN_REQUEST whose size is not 8"};
  if (record_.id == id_) return {400, "FastCGI BEGIN_REQUEST for the request in hand"};
  if (phase_ != Phase::idle) return skip(Due::refuse_begin), Refusal{};
  state_ = State::begin;
  due_ = Due::begin;
  return {};
}

Refusal Reader::begin_params() noexcept {
  if (phase_ == Phase::aborted) return {};
  if (phase_ != Phase::params) return {400, "FastCGI PARAMS after their end"};
  if (record_.content == 0) return skip(Due::params_end), Refusal{};
  if (params_end_ - params_begin_ + record_.content > head_bytes_max(limits_)) return {431, "FastCGI PARAMS too long"};
  state_ = State::params;
  return {};
}

Refusal Reader::begin_standard_in() noexcept {
  if (phase_ == Phase::aborted) return {};
  if (phase_ == Phase::params) return {400, "FastCGI STDIN before the end of PARAMS"};
  if (phase_ == Phase::in_hand) return {400, "FastCGI STDIN after its end"};
  if (phase_ == Phase::first_body) phase_ = Phase::body;
  if (record_.content == 0) {
    if (length_known_ && body_left_ != 0) return {400, "FastCGI STDIN shorter than CONTENT_LENGTH"};
    return skip(Due::body_end), Refusal{};
  }
  if (length_known_) {
    if (record_.content > body_left_) return {400, "FastCGI STDIN longer than CONTENT_LENGTH"};
    body_left_ -= record_.content;
  }
  state_ = State::standard_in;
  return {};
}

// ---- the content of a record has been read ----

bool Reader::end_content(Fed& fed, Room* room) {
  switch (std::exchange(due_, Due::nothing)) {
    case Due::nothing: return false;
    case Due::begin: return begin_request(fed);
    case Due::params_end: return end_params(fed, *room);
    case Due::body_end:
      phase_ = Phase::in_hand;
      fed.event = Event::end;
      return true;
    case Due::abort: return abort(fed);
    case Due::values:
      if (!values_.whole()) return refuse(fed, {400, "FastCGI GET_VALUES that end within a pair"});
      return reply(fed, encode_values_result(values_.asked(), capacity_, reply_));
    case Due::unknown_type: encode_unknown_type(record_.type, reply_); return reply(fed, unknown_type_bytes);
    case Due::refuse_begin:
      return reply_end(fed, {.id = record_.id, .protocol_status = ProtocolStatus::cannot_multiplex});
  }
  return false;
}

bool Reader::begin_request(Fed& fed) noexcept {
  const unsigned role = byte_of(small_[0]) << 8 | byte_of(small_[1]);
  keep_ = (byte_of(small_[2]) & keep_connection) != 0;
  if (role != responder) {
    fed.last = !keep_;
    return reply_end(fed, {.id = record_.id, .protocol_status = ProtocolStatus::unknown_role});
  }
  id_ = record_.id;
  phase_ = Phase::params;
  params_begin_ = params_end_ = 0;
  return false;
}

bool Reader::abort(Fed& fed) noexcept {
  if (phase_ == Phase::params || phase_ == Phase::first_body) {
    const End end{.id = id_, .application_status = cut_off_status};
    next_request();
    fed.last = !keep_;
    return reply_end(fed, end);
  }
  phase_ = Phase::aborted;
  fed.event = Event::aborted;
  return true;
}

Refusal Reader::decode_params(Room& room) {
  CgiVariables variables(room.bytes.subspan(params_begin_), limits_, room.head, room.request);
  const Refusal refusal = decode_pairs(room.bytes.subspan(params_begin_, params_end_ - params_begin_), variables);
  if (refusal) room.head.fields.clear();
  room.head.keep_alive = keep_;
  room.decoded = true;
  return refusal;
}

bool Reader::end_params(Fed& fed, Room& room) {
  if (const Refusal refusal = decode_params(room)) return refuse(fed, refusal);
  length_known_ = room.head.framing == Framing::length;
  body_left_ = room.head.content_length;
  const bool body_comes = body_left_ != 0;
  phase_ = body_comes ? Phase::body : Phase::first_body;
  return body_comes && give_head(fed);
}

// The first record of STDIN is there. When its header came later than the end of PARAMS, the bytes may lie elsewhere by now.
bool Reader::give_undecided_head(Fed& fed, Room& room) {
  if (!room.decoded) {
    if (const Refusal refusal = decode_params(room)) return refuse(fed, refusal);
  }
  if (record_.content == 0) {  // it is whole
    phase_ = Phase::in_hand;
    due_ = Due::nothing;
  } else {
    room.head.framing = Framing::chunked;
  }
  return give_head(fed);
}

bool Reader::give_head(Fed& fed) noexcept {
  fed.event = Event::head;
  fed.intact = intact_ && record_.padding == 0;  // padding is still to come
  fed.begin = begin_;
  params_begin_ = params_end_ = 0;
  return true;
}

bool Reader::reply(Fed& fed, std::size_t size) noexcept {
  fed.event = Event::reply;
  fed.bytes = {reply_, size};
  return true;
}

bool Reader::reply_end(Fed& fed, const End& end) noexcept {
  encode_end_request(end, reply_);
  return reply(fed, end_request_bytes);
}

bool Reader::refuse(Fed& fed, const Refusal& refusal) noexcept {
  state_ = State::broken;
  broken_ = refusal;
  fed.event = Event::refused;
  fed.refusal = refusal;
  return true;
}

}  // namespace narwhal::protocol::fastcgi
