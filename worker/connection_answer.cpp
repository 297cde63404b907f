// How a connection answers: for the host itself, with what an exchange hands over, and what comes after an answer.
#include <sys/socket.h>

#include <cstring>

#include "core/log.hpp"
#include "worker/connection.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

namespace {
constexpr std::chrono::seconds linger_limit{2};  // for the client to read our last words
}  // namespace

void Connection::refuse(int status, std::string_view fault) {
  if (status != 404 && status != 503) {
    log::warning("Invalid request from ip={}: {}", peer_.text(), fault);
    loop_.counters().request_refused();
  }
  if (answering_) {  // a second head would be taken for more of the body
    log_refusal(status, 0);
    return reset();
  }
  if (exchange_ == nullptr) begin_refused();
  answer_plain(status, fault);
}

// What is refused before it is a request has an exchange all the same: the logs tell of it what can be told.
void Connection::begin_refused() {
  exchange_ = &loop_.exchanges().take(*this);
  exchange_->peer = peer_;
  exchange_->started = loop_.turn_time();
  protocol::decode_request_line(in_ != nullptr ? in_->view() : std::string_view(), exchange_->head);
}

// Its answer is the host's own, whatever a handler may still be making of the exchange.
void Connection::log_refusal(int status, std::uint64_t body_bytes) {
  loop_.record_answer(*exchange_, {.status = status, .body_bytes = body_bytes, .own = false});
}

// A short plain answer to the exchange in hand, the last one on this connection.
void Connection::answer_plain(int status, std::string_view text) {
  using Length = protocol::ResponseHead::Length;
  const bool is_head = exchange_->head.is_head;
  const Field fields[] = {{std::string_view("Content-Type"), std::string_view("text/plain")},
                          {std::string_view("Retry-After"), std::string_view("1")}};
  protocol::ResponseHead head;
  head.status = status;
  head.fields = fields;
  head.field_count = status == 503 ? 2 : 1;
  head.length = Length::known;
  head.content_length = text.size() + 1;
  head.keep_alive = false;
  head.date = loop_.date();
  head.server = loop_.config().server_header;
  if (!reserve_out(protocol::response_head_bound(head) + text.size() + 1)) return;
  out_->end += static_cast<std::uint32_t>(protocol::encode_response_head(head, out_->tail()));
  if (!is_head) {
    std::memcpy(out_->tail(), text.data(), text.size());
    out_->end += static_cast<std::uint32_t>(text.size());
    *out_->tail() = '\n';
    ++out_->end;
  }
  log_refusal(status, is_head ? 0 : text.size() + 1);
  Exchange& exchange = *std::exchange(exchange_, nullptr);
  loop_.dispatcher().abandon(exchange);
  chunks_.reset();
  state_ = State::handling;
  close_after_ = true;
  unread_ = true;
  flush();
}

void Connection::answer_for(Exchange& exchange, int status, std::string_view text) noexcept {
  if (exchange_ != &exchange || exchange.ended) return;  // ended: it is on its way, whatever its handler still does
  if (answering_) {                                      // its head is out: all that is left is to make the cut visible
    log_refusal(status, 0);
    return reset();
  }
  guarded([&] { answer_plain(status, text); });
}

// Closes so that the client cannot take what it has for the whole.
void Connection::reset() {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

void Connection::take_answer(Exchange& exchange, Push push) noexcept {
  guarded([&] { pass_on(exchange, push); });
}

void Connection::pass_on(Exchange& exchange, Push push) {
  // Losing the connection ends the exchange too: behind each send it may be somebody else's.
  std::vector<Segment>& segments = loop_.segments();
  if (exchange.simple()) {
    if (exchange.response.bytes().segments().empty()) {
      if (exchange.response.bytes().has_buffer() && !append_out(exchange)) return;
      return end_exchange(exchange);
    }
    segments.swap(exchange.response.bytes().segments());
    exchange.ended = true;
    if (exchange.response.bytes().has_buffer() && !append_out(exchange)) return discard_all(segments);
  } else {
    const Handover::Taken taken = exchange.take_handover(segments);
    exchange.ended = taken.ended || exchange.ended;
    answering_ = taken.has_head;
  }
  if (!segments.empty() && out_ != nullptr && push != Push::hold && !send_out(true)) return discard_all(segments);
  send_segments(segments, push);
  if (state_ != State::closing && exchange_ == &exchange && exchange.ended && exchange.returned) end_exchange(exchange);
}

void Connection::take_part(Exchange& exchange, Push push) noexcept {
  if (push != Push::gather || sending_ != nullptr) return take_answer(exchange, push);
  exchange.gathered = true;
  loop_.dispatcher().hold_answer(*this);
}

void Connection::flush_held() noexcept {
  if (state_ == State::closing) return;
  if (exchange_ != nullptr && exchange_->gathered) {
    take_answer(*exchange_, Push::now);
  } else {
    guarded([this] { flush(); });
  }
}

void Connection::discard_all(std::vector<Segment>& segments) noexcept {
  for (Segment& segment : segments) discard(segment);
  segments.clear();
}

// The exchange's bytes go behind those of the answer before it, so that one write takes both.
// False: the connection was lost.
bool Connection::append_out(Exchange& exchange) {
  const auto drop = [this](Buffer* buffer) { loop_.buffers().drop(buffer); };
  std::unique_ptr<Buffer, decltype(drop)> answer(exchange.response.bytes().take_buffer(), drop);
  if (out_ != nullptr && out_->room() < answer->size() && !send_out(true)) return false;
  if (out_ == nullptr) {
    out_ = answer.release();
    return true;
  }
  std::memcpy(out_->tail(), answer->bytes() + answer->begin, answer->size());
  out_->end += static_cast<std::uint32_t>(answer->size());
  return true;
}

void Connection::end_exchange(Exchange& exchange) {
  loop_.record_answer(exchange, {.status = exchange.response.status(), .body_bytes = exchange.response.body_sent()});
  const bool body_unread = state_ == State::body;
  const bool cut = exchange.response.truncated();
  const bool keep = exchange.keep_alive && !cut && !body_unread;
  exchange_ = nullptr;
  answering_ = false;
  exchange.ended = true;
  exchange.connection = nullptr;
  loop_.exchanges().give_back(exchange);
  if (!keep) {
    close_after_ = true;
    cut_ = cut;
    unread_ = body_unread || (in_ != nullptr && in_->size() != 0);
    chunks_.reset();
    state_ = State::handling;
    return flush();
  }
  state_ = State::head;
  if (sending_ == nullptr) next_request();
}

// The socket has taken all there is, or holds it back for one write with what follows.
void Connection::next_request() {
  if (in_ != nullptr) {
    if (in_->size() != 0) due_in(loop_.config().header_timeout);
    process();
    if (state_ == State::closing) return;
  }
  resume_reading();
  // A half-closed client has sent all it will: what is not whole by now never will be.
  const bool never_whole = end_seen_ && (state_ == State::head || state_ == State::body);
  if (exchange_ != nullptr && out_ != nullptr && !never_whole) return loop_.dispatcher().hold_answer(*this);
  if (out_ != nullptr && !never_whole && loop_.dispatcher().gathers_answers()) {
    loop_.dispatcher().hold_answer(*this);
  } else if (out_ != nullptr) {
    flush();
  }
  if (state_ == State::closing) return;
  if (never_whole)
    return sending_ == nullptr || state_ == State::body ? close() : static_cast<void>(close_after_ = true);
  if (state_ != State::head) return;
  if (in_ == nullptr && sending_ == nullptr) wait_for_request();
}

bool Connection::reserve_out(std::size_t bytes) {
  if (out_ != nullptr && out_->room() < bytes && !send_out(true)) return false;
  if (out_ == nullptr) out_ = bytes <= BufferPool::usual_capacity ? loop_.buffers().take() : BufferPool::make(bytes);
  return true;
}

// The connection's last bytes are on their way: what remains is to part so that the client gets them.
void Connection::part() {
  if (cut_) return reset();
  if (!unread_ || end_seen_) return close();
  // Closing with unread bytes would send a reset that can overtake our answer (RFC 9112 9.6).
  ::shutdown(fd_, SHUT_WR);
  state_ = State::lingering;
  body_left_ = 0;
  untaken_ = 0;
  if (in_ != nullptr) loop_.buffers().drop(std::exchange(in_, nullptr));
  loop_.wheel().set(*this, loop_.now() + linger_limit);
  resume_reading();
}

}  // namespace narwhal::worker
