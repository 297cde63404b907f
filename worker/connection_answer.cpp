// How a connection answers: with what an exchange hands over, for the host itself, and what comes after an answer.
#include <cstring>
#include <new>
#include <utility>

#include "core/log.hpp"
#include "core/log_limit.hpp"
#include "worker/connection.hpp"
#include "worker/loop.hpp"
#include "worker/trailing_slash.hpp"

namespace narwhal::worker {
void Connection::take_answer(Exchange& exchange, Push push) noexcept {
  if (push == Push::gather && !sender_.waiting()) {  // its parts stay where they are until more have come
    exchange.gathered = true;
    return loop_.dispatcher().hold_answer(*this);
  }
  contain([&] { send_answer(exchange, push); });
}

// Where sending fails the connection ends, and the exchange with it: after each send it may be another client's.
void Connection::send_answer(Exchange& exchange, Push push) {
  std::vector<Segment>& segments = loop_.segments();
  if (exchange.simple()) {
    ResponseBytes& bytes = exchange.response.bytes();
    const bool is_in_buffer = bytes.segments().empty();
    segments.swap(bytes.segments());
    exchange.ended = true;
    if (bytes.has_buffer() && !sender_.append(bytes.take_buffer())) return discard_all(segments);
    if (is_in_buffer) return end_exchange(exchange);
  } else {
    const Handover::Taken taken = exchange.take_handover(segments);
    exchange.ended = taken.ended || exchange.ended;
    exchange.head_taken = taken.has_head;
  }
  const bool may_hold = push == Push::hold || (push == Push::soon && loop_.dispatcher().gathers_answers());
  if (may_hold && sender_.can_hold(segments)) {
    if (sender_.hold(segments)) loop_.dispatcher().hold_answer(*this);
  } else {
    sender_.send(segments);
  }
  if (state_ != State::closing && exchange_ == &exchange && exchange.ended && exchange.returned) end_exchange(exchange);
}

void Connection::flush_held() noexcept {
  if (state_ == State::closing) return;
  if (exchange_ != nullptr && exchange_->gathered) {
    take_answer(*exchange_, Push::now);
  } else {
    contain([this] { flush(); });
  }
}

// The end of the connection goes in one packet with the last bytes. A web server that keeps FastCGI connections has no other
// sign of it, and sends its next request on a connection that it does not know to be closed.
void Connection::flush() {
  const bool ends = close_after_ && exchange_ == nullptr && state_ != State::lingering;
  if (!sender_.flush(ends && !cut_ ? Sender::Next::more : Sender::Next::nothing)) return;
  if (ends && !sender_.waiting()) shut_down();
}

void Connection::end_exchange(Exchange& exchange) {
  loop_.record_answer(exchange, {.status = exchange.response.status(), .body_bytes = exchange.response.body_sent()});
  const bool body_unread = state_ == State::body;
  const bool cut = exchange.response.truncated();
  const bool is_shown = exchange.response.cut_is_shown();
  const bool keep = exchange.keep_alive && !cut && !body_unread;
  exchange_ = nullptr;
  counted_ = 0;
  exchange.ended = true;
  exchange.connection = nullptr;
  loop_.exchanges().give_back(exchange);
  reader_.end_request();
  if (!keep) {
    close_after_ = true;
    cut_ = cut && !is_shown;
    unread_ = body_unread || !reader_.empty();
    reader_.drop_body();
    state_ = State::handling;
    return flush();
  }
  state_ = State::head;
  if (!sender_.waiting()) next_request();
}

// FastCGI: the web server's client has left. What has been sent of the answer ends here; the connection may go on.
void Connection::abort_request() {
  if (exchange_ == nullptr) return;  // it has been answered
  const bool keep = keeps_ && !retired_;
  const protocol::fastcgi::End end{.id = reader_.record_id(), .application_status = 1};
  loop_.dispatcher().drop_answer(*std::exchange(exchange_, nullptr), Answered::client_left, std::exchange(counted_, 0));
  reader_.drop_body();
  reader_.end_request();
  char* const at = sender_.room_for(protocol::fastcgi::end_bytes_max);
  if (at == nullptr) return;
  sender_.added(protocol::fastcgi::encode_end(end, at));
  state_ = keep ? State::head : State::handling;
  close_after_ = unread_ = !keep;
  flush();
  if (state_ != State::head || sender_.waiting()) return;
  if (!begins_request_) return next_request();
  set_time_limit(reader_.empty() ? loop_.config().keepalive : loop_.config().header_timeout);
}

// The socket has taken all there is, or it is held for one write with what follows.
void Connection::next_request() {
  if (reader_.holds_buffer()) {
    if (!reader_.empty()) set_time_limit(loop_.config().header_timeout);
    read_request();
    if (state_ == State::closing) return;
  }
  resume_reading();
  // A half-closed client has sent everything: what is not whole by now never will be.
  const bool never_whole = end_seen_ && (state_ == State::head || state_ == State::body);
  if (sender_.holds()) {
    const bool more_follows = exchange_ != nullptr || loop_.dispatcher().gathers_answers();
    if (more_follows && !never_whole) {
      loop_.dispatcher().hold_answer(*this);
    } else {
      flush();
      if (state_ == State::closing) return;
    }
  }
  if (never_whole && sender_.waiting() && state_ == State::head) {
    close_after_ = true;
  } else if (never_whole) {
    close();
  } else if (state_ == State::head && !reader_.holds_buffer() && !sender_.waiting()) {
    untaken_ = 0;
    if (retired_) {
      loop_.wheel().set(*this, loop_.now() + Loop::retired_grace);
    } else {
      set_time_limit(loop_.config().keepalive);
    }
  }
}

// ---- what the sender reports ----

void Connection::on_sent(std::uint64_t bytes) {
  counted_ += bytes;
  if (exchange_ != nullptr && exchange_->handover.sent(bytes)) loop_.posts().post(*exchange_);  // not amid the sending
}

void Connection::on_waiting() { set_time_limit(loop_.config().write_timeout); }

void Connection::on_all_sent() {
  replied_ = 0;
  Wheel::clear(*this);
  if (close_after_ && exchange_ == nullptr) return shut_down();
  if (state_ == State::head) {
    next_request();
  } else if (state_ == State::body && socket_.reading()) {
    set_time_limit(loop_.config().body_timeout);
  }
}

void Connection::on_send_failed(const SendError& error) {
  switch (error.kind) {
    case SendError::Kind::socket: return abort(reason_for(error.code, peer_));
    case SendError::Kind::silent: return abort("write_timeout");
    case SendError::Kind::slow: return abort("the client takes less than min_rate");
    case SendError::Kind::memory: return abort_without_memory();
    case SendError::Kind::file:
      // The client must not take what it has for the whole. Its request may be over already, so that its address is all
      // there is to name.
      log::error("the response to {} is cut off, {} bytes before its end: the file that it is sent from {}{}",
                 peer_.log_name(), error.missing, error.code == 0 ? "has become shorter" : "cannot be read: ",
                 error.code == 0 ? "" : std::strerror(error.code));
      return reset();
  }
}

// ---- answers of the host itself ----

void Connection::refuse(const protocol::Refusal& refusal) {
  const int status = refusal.http_status;
  if (status != 404 && status != 503 && status != 308) {
    static LogLimit limit;  // the access log has each
    limit.warning("Invalid request from ip={}: {}", peer_.text(), refusal.fault);
    loop_.counters().request_refused();
  }
  if (exchange_ != nullptr && exchange_->head_taken) {  // a second head would be taken for more of the body
    loop_.dispatcher().drop_answer(*std::exchange(exchange_, nullptr), status, counted_);
    return reset();
  }
  if (exchange_ == nullptr) {  // refused before it was a request; the logs show all the same what is known of it
    exchange_ = &loop_.exchanges().take(*this);
    exchange_->peer = peer_;
    exchange_->started = loop_.turn_time();
    if (peer_.wire == Wire::http) {
      protocol::decode_request_line(reader_.unread(), exchange_->head);
    } else {
      exchange_->head.clear();
    }
  }
  answer_plain(status, refusal.fault);
}

void Connection::answer_for(Exchange& exchange, int status, std::string_view text) noexcept {
  if (exchange_ != &exchange || exchange.ended) return;  // ended: it is on its way, whatever its handler still does
  if (exchange.head_taken) {                             // its head is out: all that is left is to make the cut visible
    loop_.dispatcher().drop_answer(*std::exchange(exchange_, nullptr), status, counted_);
    return reset();
  }
  contain([&] { answer_plain(status, text); });
}

// A short plain answer to the exchange in hand, whatever its handler may still be making of it, and the last one on this
// connection.
void Connection::answer_plain(int status, std::string_view text) {
  const bool is_head = exchange_->head.is_head;
  Field fields[] = {{std::string_view("Content-Type"), std::string_view("text/plain")},
                    {std::string_view("Retry-After"), std::string_view("1")}};
  if (status == 308) fields[1] = {std::string_view("Location"), location_with_slash(*exchange_)};
  if (fields[1].value.size == 0) throw std::bad_alloc();
  protocol::ResponseHead head;
  head.status = status;
  head.fields = fields;
  head.field_count = status == 503 || status == 308 ? 2 : 1;
  head.length = protocol::ResponseHead::Length::known;
  head.content_length = text.size() + 1;
  head.keep_alive = false;
  if (peer_.wire == Wire::http) {
    head.date = loop_.date();
    head.server = loop_.config().server_header;
  }
  const WireId wire{peer_.wire, reader_.record_id()};
  if (!wire.is_fastcgi() || wire.request != 0) {  // else there is no request that the answer could be for
    char* const begin = sender_.room_for(plain_bound(wire, head, text));
    if (begin == nullptr) return;
    sender_.added(encode_plain(wire, head, is_head ? std::string_view() : text, begin));
  }
  loop_.record_answer(*exchange_, {.status = status, .body_bytes = is_head ? 0 : head.content_length, .own = false});
  Exchange& exchange = *std::exchange(exchange_, nullptr);
  loop_.dispatcher().abandon(exchange);
  reader_.drop_body();
  state_ = State::handling;
  close_after_ = true;
  unread_ = true;
  flush();
}

}  // namespace narwhal::worker
