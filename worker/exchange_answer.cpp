// The answering half of an exchange: what a handler, or the host in its place, says becomes bytes.
#include <algorithm>
#include <cstring>
#include <utility>

#include "core/log.hpp"
#include "protocol/http1_trailers.hpp"
#include "worker/exchange.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

namespace {

// Memory on its way to become a segment.
class Memory {
 public:
  explicit Memory(std::size_t size) : data_(static_cast<char*>(std::malloc(size))) {
    if (data_ == nullptr) throw std::bad_alloc();
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { std::free(data_); }
  char* data() noexcept { return data_; }
  Segment segment(std::size_t size) && noexcept {
    char* const data = std::exchange(data_, nullptr);
    return {.data = data, .size = size, .release = std::free, .release_arg = data};
  }

 private:
  char* data_;
};

const narwhal_field plain_text = {NARWHAL_LITERAL("Content-Type"), NARWHAL_LITERAL("text/plain")};

narwhal_response plain_response(int status, std::string_view body) noexcept {
  narwhal_response response{};
  response.struct_size = sizeof response;
  response.status = status;
  response.fields = &plain_text;
  response.field_count = 1;
  response.body = {body.data(), body.size()};
  return response;
}

Segment copy_of(std::string_view bytes) {
  Memory memory(bytes.size());
  std::memcpy(memory.data(), bytes.data(), bytes.size());
  return std::move(memory).segment(bytes.size());
}

}  // namespace

void own(Segment& segment) {
  if (!segment.borrowed) return;
  const bool counted = segment.counted;
  segment = copy_of({segment.data, segment.size});
  segment.counted = counted;
}

// ---- the answer ----

bool Exchange::reserve(std::size_t bytes) {
  if (out != nullptr && out->room() >= bytes) return true;
  if (out != nullptr) return false;
  // On a thread without the baton the pool is out of reach.
  out = BufferPool::make(std::max<std::size_t>(bytes, 1024));
  return true;
}

void Exchange::append_segment(Segment segment) try { segments_.push_back(segment); } catch (...) {
  discard(segment);
  throw;
}

int Exchange::append(std::string_view bytes) {
  if (bytes.empty()) return NARWHAL_OK;
  if (segments_.empty() && reserve(bytes.size())) {
    std::memcpy(out->tail(), bytes.data(), bytes.size());
    out->end += static_cast<std::uint32_t>(bytes.size());
  } else {
    append_segment(copy_of(bytes));
  }
  return NARWHAL_OK;
}

void Exchange::append_literal(std::string_view text) {
  if (segments_.empty()) {
    append(text);
  } else {
    append_segment({.data = text.data(), .size = text.size()});
  }
}

// A status, name or value of the application's that may not go on the wire: whoever wrote it has to find it.
int Exchange::refuse(const protocol::Fault& fault) const {
  constexpr std::size_t name_bytes_max = 100;
  const std::string_view name = fault.field != nullptr ? fault.field->name.view() : std::string_view();
  log::error("{} {}: refused in an answer: {}{}{}{}", head.method.view(), head.target.view(), fault.text,
             fault.field != nullptr ? ": '" : "", name.substr(0, name_bytes_max), fault.field != nullptr ? "'" : "");
  return NARWHAL_REFUSED;
}

// How the body's end is told, for what does not simply have a body of a known length. False: Content-Length is no number.
bool Exchange::frame_otherwise(int status, const Field* fields, std::size_t count, std::int64_t body_size) {
  using Length = protocol::ResponseHead::Length;
  if (status == 204) {
    framing_ = Length::absent;
    return true;
  }
  if (status == 205) {  // RFC 9110 15.3.6
    framing_ = Length::known;
    left_ = 0;
    return true;
  }
  // In a 304 and to HEAD, Content-Length is what GET would have got (RFC 9110 8.6): an empty body does not say.
  if (status == 304 || (bodyless_ && body_size == 0)) body_size = -1;
  if (body_size < 0) body_size = protocol::content_length_of(fields, count);
  if (body_size == protocol::content_length_bad) return false;
  left_ = body_size > 0 ? static_cast<std::uint64_t>(body_size) : 0;
  if (body_size >= 0) {
    framing_ = Length::known;
  } else if (bodyless_) {
    framing_ = Length::absent;
  } else {
    framing_ = head.minor == 1 ? Length::chunked : Length::until_close;
  }
  return true;
}

// Checks and writes the head; body_size < 0: not known.
int Exchange::begin_answer(const narwhal_response& response, std::int64_t body_size) {
  using Length = protocol::ResponseHead::Length;
  if (answer_ != Answer::none) return NARWHAL_STATE;
  const int status = response.status;
  const Field* const fields = fields_of(response.fields);
  const std::uint32_t count = response.field_count;
  if (const protocol::Fault fault = protocol::check_response(status, fields, count)) return refuse(fault);

  protocol::ResponseHead out_head;
  if (NARWHAL_HAS(&response, narwhal_response, reason) && response.reason.size != 0) {
    out_head.reason = {response.reason.data, response.reason.size};
    if (const protocol::Fault fault = protocol::check_reason(out_head.reason)) return refuse(fault);
  }
  out_head.status = status;
  out_head.fields = fields;
  out_head.field_count = count;
  out_head.minor = head.minor;
  out_head.date = loop_.date();
  out_head.server = loop_.config().server_header;
  bodyless_ = head.is_head || status == 204 || status == 205 || status == 304;
  if (body_size >= 0 && !bodyless_) [[likely]] {
    framing_ = Length::known;
    left_ = static_cast<std::uint64_t>(body_size);
  } else if (!frame_otherwise(status, fields, count, body_size)) {
    return refuse({"Content-Length is no number, or two"});
  }
  out_head.content_length = left_;
  out_head.length = framing_;
  out_head.trailers = framing_ == Length::chunked && takes_trailers();
  if (framing_ == Length::until_close || loop_.retiring()) keep_alive = false;
  out_head.keep_alive = keep_alive;

  const std::size_t bound = protocol::response_head_bound(out_head);
  if (!reserve(bound)) {  // only a head of unusual size gets here: out holds nothing yet
    std::free(std::exchange(out, BufferPool::make(bound)));  // the pool is out of reach
  }
  const std::size_t size = protocol::encode_response_head(out_head, out->tail());
  response_head_ = {out->tail(), size};
  out->end += static_cast<std::uint32_t>(size);
  status_ = status;
  answer_ = Answer::started;
  return NARWHAL_OK;
}

bool Exchange::body_still_coming() {
  if (mount == nullptr || !mount->streams_body()) return false;
  const std::lock_guard lock(mutex_);
  return !inbox_ended_;
}

bool Exchange::takes_trailers() const noexcept {
  return protocol::takes_trailers(head.fields.data(), head.fields.size());
}

// Its own bytes, not those in `out`: the final answer still goes there.
int Exchange::inform(int status, const narwhal_field* fields, std::uint32_t count) {
  if (gone()) return NARWHAL_GONE;
  if (answer_ != Answer::none) return NARWHAL_STATE;
  if (const protocol::Fault fault = protocol::check_interim(status, fields_of(fields), count)) return refuse(fault);
  if (head.minor == 0) return NARWHAL_OK;  // RFC 9110 15.2: it would take this for the answer
  if (unsent_.load(std::memory_order_relaxed) >= loop_.config().response_buffer_size) return NARWHAL_AGAIN;
  protocol::ResponseHead interim;
  interim.status = status;
  interim.fields = fields_of(fields);
  interim.field_count = count;
  interim.length = protocol::ResponseHead::Length::absent;
  Memory memory(protocol::response_head_bound(interim));
  const std::size_t size = protocol::encode_response_head(interim, memory.data());
  append_segment(std::move(memory).segment(size));
  hand_over(Push::now, Last::no);
  return NARWHAL_OK;
}

int Exchange::respond(const narwhal_response& response) {
  const bool lends = NARWHAL_HAS(&response, narwhal_response, release_arg);
  Loan loan(lends ? response.release : nullptr, lends ? response.release_arg : nullptr);
  // Nobody will read the rest, so the connection ends behind the answer: RFC 9112 9.6 wants the client to be told.
  if (body_still_coming()) keep_alive = false;
  try {
    return respond_with(response, loan);
  } catch (const std::bad_alloc&) {
    return respond_without_memory();
  }
}

int Exchange::respond_with(const narwhal_response& response, Loan& loan) {
  const std::string_view bytes(response.body.data, response.body.size);
  const int result = gone() ? NARWHAL_GONE : begin_answer(response, static_cast<std::int64_t>(bytes.size()));
  if (result == NARWHAL_OK) {
    left_ = 0;
    if (!bodyless_) {
      body_sent_ = bytes.size();
      if (bytes.size() <= out->room() && bytes.size() <= BufferPool::usual_capacity) {
        append(bytes);
      } else {
        append_segment(loan ? loan.segment(bytes) : copy_of(bytes));
      }
    }
    answer_ = Answer::finished;
  }
  if (result == NARWHAL_OK || result == NARWHAL_GONE) end_answer();
  return result;
}

// Nothing of the answer has left: another takes its place, which fits where its head was to be. When there is not even
// room for that, the client sees the connection end.
int Exchange::respond_without_memory() noexcept {
  log::error("{} {}: out of memory: there is no room for the response", head.method.view(), head.target.view());
  drop_unsent();
  answer_ = Answer::none;
  body_sent_ = 0;
  try {
    Loan nothing;
    respond_with(plain_response(500, "Internal Server Error\n"), nothing);
  } catch (const std::bad_alloc&) {
    status_ = 500;
    cut_ = true;
    answer_ = Answer::finished;
    end_answer();
  }
  return NARWHAL_ERROR;
}

int Exchange::fail(int status, std::string_view reason) {
  if (gone()) {
    end_answer();
    return NARWHAL_GONE;
  }
  if (answer_ == Answer::finished) return NARWHAL_STATE;
  log::error("{} {}: {}", head.method.view(), head.target.view(), reason);
  if (answer_ == Answer::started) {
    answer_ = Answer::finished;
    cut_ = true;
    end_answer();
    return NARWHAL_OK;
  }
  if (status < 400 || status > 599) status = 500;
  char text[64];
  const std::string_view phrase = protocol::reason_phrase(status).substr(0, sizeof text - 1);
  *std::copy(phrase.begin(), phrase.end(), text) = '\n';
  return respond(plain_response(status, {text, phrase.size() + 1}));
}

void Exchange::end_for_handler(int result) noexcept {
  if (finished_in_handler_ || answer_ == Answer::finished || gone()) return;
  // What follows is the handler's own doing: nothing is posted.
  Exchange* const outer = std::exchange(running_, this);
  if (answer_ == Answer::none) {
    fail(500, result == NARWHAL_OK ? "the handler returned without an answer" : "the handler failed");
  } else if (result != NARWHAL_OK) {
    fail(500, "the handler failed after the head was sent: the response is cut off");
  } else {
    finish();
  }
  running_ = outer;
}

void Exchange::answer_refusal() {
  const std::string_view text = refusal == 404 ? "Not Found\n" : "Service Unavailable: too many requests are waiting\n";
  const narwhal_field fields[] = {plain_text, {NARWHAL_LITERAL("Retry-After"), NARWHAL_LITERAL("1")}};
  narwhal_response response = plain_response(refusal, text);
  response.fields = fields;
  response.field_count = refusal == 503 ? 2 : 1;
  Exchange* const outer = std::exchange(running_, this);  // nothing is posted: the loop itself is here
  respond(response);
  running_ = outer;
  returned = true;
}

}  // namespace narwhal::worker
