#include "worker/connection.hpp"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/log.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

namespace {
constexpr std::uint64_t linger_ms = 2'000;               // for the client to read our last words
constexpr std::uint64_t lingered_bytes_max = 1024 * 1024;

protocol::HeadLimits limits_of(const Config& config) {
  return {config.limit_request_line, config.limit_request_fields, config.limit_request_field_size};
}
}  // namespace

bool Connection::open(int fd) {
  fd_ = fd;
  int status;
  if (peer_.family == Peer::Family::local) {
    status = uv_pipe_init(loop_.uv(), &handle_.pipe, 0);
    if (status == 0) status = uv_pipe_open(&handle_.pipe, fd);
  } else {
    status = uv_tcp_init(loop_.uv(), &handle_.tcp);
    if (status == 0) status = uv_tcp_open(&handle_.tcp, fd);
  }
  handle_.handle.data = this;
  if (status != 0) {
    log::error("take a connection into the loop: {}", uv_strerror(status));
    ::close(fd);
    close();
    return false;
  }
  due_in(loop_.config().header_timeout);
  resume_reading();
  return true;
}

void Connection::go_on_with(Buffer* bytes) {
  in_ = bytes;
  due_in(loop_.config().header_timeout);
  process();
  if (out_ != nullptr && !unflushed && state_ != State::closing) flush();
}

bool Connection::give_to_sibling(const Relay& relay) {
  Exchange& exchange = *exchange_;
  // What cannot be said in bytes that were read stays: a spooled body, an answer still on its way.
  const bool whole = state_ == State::handling && (exchange.head.framing == protocol::Framing::none || contained_);
  if (!whole || sending_ != nullptr || out_ != nullptr || end_seen_) return false;
  const char* begin = exchange.head.method.data;
  const std::string_view request(begin, static_cast<std::size_t>(exchange.request_end - begin));
  const std::string_view rest = in_ != nullptr ? in_->view() : std::string_view();
  if (!relay.give(fd_, peer_, request, rest)) return false;
  exchange_ = nullptr;
  loop_.retire_exchange(exchange);
  close();
  return true;
}

void Connection::close() {
  if (state_ == State::closing) return;
  state_ = State::closing;
  if (exchange_ != nullptr) {
    Exchange& exchange = *std::exchange(exchange_, nullptr);
    loop_.abandon(exchange);
  }
  if (in_ != nullptr) loop_.pool().drop(std::exchange(in_, nullptr));
  if (out_ != nullptr) loop_.pool().drop(std::exchange(out_, nullptr));
  Wheel::remove(*this);
  uv_close(&handle_.handle, [](uv_handle_t* handle) {
    auto* self = static_cast<Connection*>(handle->data);
    if (self->sending_ != nullptr) {
      for (Segment& segment : self->sending_->queue) discard(segment);
    }
    self->loop_.free_connection(self);
  });
  loop_.connection_gone();
}

// ---- time ----

void Connection::due_in(seconds limit) {
  if (limit.count() == 0) {
    Wheel::clear(*this);
  } else {
    loop_.wheel().set(*this, loop_.now_ms() + static_cast<std::uint64_t>(limit.count()) * 1000);
  }
}

void Connection::wait_for_request() {
  if (retired_) {
    loop_.wheel().set(*this, loop_.now_ms() + Loop::retired_grace_ms);
  } else {
    due_in(loop_.config().keepalive);
  }
}

void Connection::retire(std::uint64_t grace_ms) {
  retired_ = true;
  if (idle() && state_ == State::head) loop_.wheel().set(*this, loop_.now_ms() + grace_ms);
}

void Connection::expired() {
  if (sending_ != nullptr) {
    if (const std::uint64_t left = unsent(); std::exchange(sending_->left_at_last_look, left) == left) {
      return lose("write_timeout");
    }
    return due_in(loop_.config().write_timeout);  // slow, but not silent
  }
  switch (state_) {
    case State::head:
      if (in_ == nullptr) return close();
      return refuse(408, "the request's head took too long");
    case State::body:
      if (exchange_ != nullptr && exchange_->mount != nullptr && exchange_->mount->streams_body()) return lose("body_timeout");
      return refuse(408, "the request's body stopped coming");
    case State::lingering: return close();
    case State::handling:
    case State::closing: return;
  }
}

// The client is gone, or as good as gone.
void Connection::lose(const char* why) {
  if (log::enabled(LogLevel::debug)) log::debug("Closing connection: {}", why);
  close();
}

// ---- reading ----

void Connection::pause_reading() {
  if (!std::exchange(reading_, false)) return;
  uv_read_stop(&handle_.stream);
}

void Connection::resume_reading() {
  if (reading_ || end_seen_ || state_ == State::closing) return;
  if (state_ == State::handling && in_ != nullptr && in_->room() == 0) return;  // next_request() comes back to it
  reading_ = true;
  uv_read_start(&handle_.stream, on_alloc, on_read);
}

void Connection::on_alloc(uv_handle_t* handle, size_t, uv_buf_t* out) noexcept try {
  auto* self = static_cast<Connection*>(handle->data);
  if (self->state_ == State::lingering || (self->state_ == State::body && self->in_ == nullptr)) {
    *out = uv_buf_init(self->loop_.scratch(), Loop::scratch_bytes);
    return;
  }
  if (self->in_ == nullptr) self->in_ = self->loop_.pool().take();
  *out = uv_buf_init(self->in_->tail(), static_cast<unsigned>(self->in_->room()));
} catch (const std::bad_alloc&) {
  *out = uv_buf_init(nullptr, 0);  // the read fails with UV_ENOBUFS: this connection is closed, no other
}

void Connection::on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t*) noexcept {
  auto* self = static_cast<Connection*>(stream->data);
  if (count > 0) return self->got_bytes(static_cast<std::size_t>(count));
  if (count == UV_EOF) return self->got_end();
  if (count < 0) return self->lose(uv_err_name(static_cast<int>(count)));
  if (self->in_ != nullptr && self->in_->size() == 0) self->loop_.pool().drop(std::exchange(self->in_, nullptr));
}

void Connection::got_bytes(std::size_t count) {
  loop_.count_in(count);
  take_bytes(count);
  // Nothing reads a full buffer on: reading goes on when the requests in it have been answered.
  if (state_ != State::closing && in_ != nullptr && in_->room() == 0) pause_reading();
}

void Connection::take_bytes(std::size_t count) {
  if (state_ == State::lingering) {
    body_left_ += count;
    if (body_left_ > lingered_bytes_max) close();
    return;
  }
  if (state_ == State::body && in_ == nullptr) {
    std::size_t consumed = 0;
    const std::string_view bytes(loop_.scratch(), count);
    if (take_body_bytes(bytes, consumed)) {
      if (reading_) due_in(loop_.config().body_timeout);
      return;
    }
    if (state_ != State::handling || consumed == count) return;
    in_ = loop_.pool().take();  // the next request has begun behind the body
    const std::string_view rest = bytes.substr(consumed);
    if (rest.size() > in_->room()) {
      loop_.pool().drop(in_);
      in_ = BufferPool::make(rest.size());
    }
    std::memcpy(in_->tail(), rest.data(), rest.size());
    in_->end += static_cast<std::uint32_t>(rest.size());
    return;
  }
  const bool first = in_->size() == 0;
  in_->end += static_cast<std::uint32_t>(count);
  if (state_ == State::head) {
    if (sending_ != nullptr) return;  // the answer before this one is still leaving
    if (first) due_in(loop_.config().header_timeout);
    process();
    if (out_ != nullptr && !unflushed && state_ != State::closing) flush();
  } else if (state_ == State::body) {
    process_body();
  }
}

void Connection::got_end() {
  end_seen_ = true;
  reading_ = false;
  switch (state_) {
    case State::lingering: return close();
    case State::body: return lose("the client left in the middle of a body");
    case State::head:
      if (sending_ == nullptr) return close();
      close_after_ = true;  // a half-closed client still reads
      return;
    case State::handling:
      // A plain handler's answer is due at any moment: whoever half-closed gets it. A deferred one may wait for
      // ever, and cannot know that nobody does any more.
      if (exchange_ != nullptr && exchange_->deferred) lose("the client left");
      return;
    case State::closing: return;
  }
}

// Takes as many requests off the buffer as can be begun now.
void Connection::process() {
  while (state_ == State::head && in_ != nullptr && in_->size() != 0) {
    if (!process_head()) break;
  }
  if (in_ != nullptr && in_->size() == 0 && state_ != State::body) loop_.pool().drop(std::exchange(in_, nullptr));
}

bool Connection::process_head() {
  Exchange& exchange = *loop_.new_exchange(*this);
  const protocol::HeadFed fed = protocol::decode_head(in_->view(), scanned_, limits_of(loop_.config()), exchange.head);
  if (fed.status == protocol::Status::need_more) {
    scanned_ = static_cast<std::uint32_t>(fed.scanned);
    loop_.retire_exchange(exchange);
    if (in_->room() == 0) {
      Buffer* larger = BufferPool::make(std::max<std::size_t>(in_->size() * 2, BufferPool::usual_capacity));
      std::memcpy(larger->bytes(), in_->bytes() + in_->begin, in_->size());
      larger->end = static_cast<std::uint32_t>(in_->size());
      loop_.pool().drop(std::exchange(in_, larger));
    }
    return false;
  }
  if (fed.status == protocol::Status::refused) {
    loop_.retire_exchange(exchange);
    refuse(fed.http_status, fed.fault);
    return false;
  }
  scanned_ = 0;
  in_->begin += static_cast<std::uint32_t>(fed.consumed);
  ++in_->references;
  exchange.in = in_;
  // No body at all, and a body of no bytes: the same thing to everybody above.
  if (exchange.head.content_length == 0 && exchange.head.framing == protocol::Framing::length) {
    exchange.head.framing = protocol::Framing::none;
  }
  exchange.peer = peer_;
  exchange.started_ns = loop_.turn_ns();
  exchange.keep_alive = exchange.head.keep_alive && !retired_ && loop_.config().keepalive.count() != 0;
  exchange.mount = loop_.route(exchange.head);
  exchange_ = &exchange;
  answering_ = false;
  Wheel::clear(*this);
  return begin_body();
}

// ---- the request's body ----

bool Connection::begin_body() {
  Exchange& exchange = *exchange_;
  const protocol::Head& head = exchange.head;
  if (exchange.mount == nullptr) {
    exchange.refusal = 404;
    // A small body is read and dropped; for a larger one that nobody wants the connection ends with the answer.
    const bool small = head.framing == protocol::Framing::length && head.content_length <= in_->capacity - in_->begin;
    if (head.framing != protocol::Framing::none && !small) {
      refuse(404, "no application is mounted there");
      return false;
    }
  }
  if (head.framing == protocol::Framing::none) {
    body_complete();
    return false;
  }
  const std::size_t limit = loop_.config().limit_request_body;
  if (limit != 0 && head.framing == protocol::Framing::length && head.content_length > limit) {
    refuse(413, "the request's body is larger than limit_request_body");
    return false;
  }
  state_ = State::body;
  body_left_ = head.content_length;
  contained_ = false;
  if (head.framing == protocol::Framing::chunked) chunks_ = std::make_unique<protocol::ChunkDecoder>();
  if (head.expect_continue && in_->size() == 0) {
    static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!reserve_out(go_on.size())) return false;
    std::memcpy(out_->tail(), go_on.data(), go_on.size());
    out_->end += static_cast<std::uint32_t>(go_on.size());
    flush();
    if (state_ != State::body) return false;
  }
  if (exchange.mount != nullptr && exchange.mount->streams_body()) {
    exchange.expect_body();
    loop_.make_ready(exchange);
  } else {
    contained_ = head.framing == protocol::Framing::length && body_left_ <= in_->capacity - in_->begin;
  }
  process_body();
  if (state_ == State::body && reading_) due_in(loop_.config().body_timeout);
  return false;
}

// The body's bytes that lie in in_.
bool Connection::process_body() {
  if (contained_) {  // it fits behind the head: it is collected there, and never copied
    if (in_->size() < body_left_) {
      due_in(loop_.config().body_timeout);
      return true;
    }
    exchange_->body.borrow({in_->bytes() + in_->begin, static_cast<std::size_t>(body_left_)});
    in_->begin += static_cast<std::uint32_t>(body_left_);
    body_complete();
    return true;
  }
  std::size_t consumed = 0;
  const bool more = take_body_bytes(in_->view(), consumed);
  if (in_ == nullptr || state_ == State::closing || state_ == State::lingering) return false;
  in_->begin += static_cast<std::uint32_t>(consumed);
  // From here on the body comes through the loop's scratch memory.
  if (more || in_->size() == 0) loop_.pool().drop(std::exchange(in_, nullptr));
  return true;
}

// True: more is to come. False: the body is complete (State::handling) or was refused.
bool Connection::take_body_bytes(std::string_view bytes, std::size_t& consumed) {
  const Config& config = loop_.config();
  Exchange& exchange = *exchange_;
  const bool streams = exchange.mount->streams_body();
  while (consumed < bytes.size()) {
    std::string_view piece;
    bool last;
    if (chunks_ != nullptr) {
      const protocol::ChunkFed fed = chunks_->feed(bytes.substr(consumed));
      consumed += fed.consumed;
      if (fed.status == protocol::Status::refused) {
        refuse(400, chunks_->fault());
        return false;
      }
      piece = fed.data;
      last = fed.status == protocol::Status::complete;
    } else {
      piece = bytes.substr(consumed, static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, bytes.size())));
      consumed += piece.size();
      body_left_ -= piece.size();
      last = body_left_ == 0;
    }
    if (streams) {
      if (!piece.empty()) exchange.feed_body(piece);
    } else if (Result<Done> kept = exchange.body.append(piece, config.body_buffer_size, config.tmp_upload_dir); !kept) {
      log::error("{} {}: {}", exchange.head.method.view(), exchange.head.target.view(), kept.error());
      refuse(503, "no room for the request's body");
      return false;
    }
    if (!streams && config.limit_request_body != 0 && exchange.body.size() > config.limit_request_body) {
      refuse(413, "the request's body is larger than limit_request_body");
      return false;
    }
    if (last) {
      body_complete();
      return false;
    }
  }
  if (streams && exchange.body_full()) {
    pause_reading();  // the silence is ours, not the client's
    Wheel::clear(*this);
  }
  return true;
}

void Connection::resume_body() {
  if (state_ != State::body || exchange_ == nullptr || reading_ || exchange_->body_full()) return;
  due_in(loop_.config().body_timeout);
  resume_reading();
}

void Connection::body_complete() {
  if (in_ != nullptr) exchange_->request_end = in_->bytes() + in_->begin;
  chunks_.reset();
  state_ = State::handling;
  Wheel::clear(*this);
  resume_reading();
  if (exchange_->mount != nullptr && exchange_->mount->streams_body() && exchange_->head.framing != protocol::Framing::none) {
    exchange_->end_body();  // its handler is at it already
  } else {
    loop_.make_ready(*exchange_);
  }
}

// ---- answers by the host itself ----

void Connection::refuse(int status, std::string_view fault) {
  if (answering_) return reset();  // a second head would be taken for more of the body
  if (status != 404 && status != 503) {
    log::warning("Invalid request from ip={}: {}", peer_.text(), fault);
    loop_.count_refused();
  }
  answer_plain(status, fault);
}

// A short plain answer, the last one on this connection.
void Connection::answer_plain(int status, std::string_view text) {
  using Length = protocol::ResponseHead::Length;
  const bool is_head = exchange_ != nullptr && exchange_->head.is_head;
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
  loop_.count_answer(status, exchange_ != nullptr ? exchange_->started_ns : loop_.turn_ns(), loop_.turn_ns());
  if (exchange_ != nullptr) {
    loop_.log_access(*exchange_, {.status = status, .body_bytes = text.size() + 1, .own = false}, loop_.turn_ns());
    Exchange& exchange = *std::exchange(exchange_, nullptr);
    loop_.abandon(exchange);
  }
  chunks_.reset();
  state_ = State::handling;
  close_after_ = true;
  unread_ = true;
  flush();
}

void Connection::answer_for(Exchange& exchange, int status, std::string_view text) {
  if (exchange_ != &exchange) return;
  if (answering_) return reset();  // its head is out: all that is left is to make the cut visible
  answer_plain(status, text);
}

// Closes so that the client cannot take what it has for the whole.
void Connection::reset() {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

// ---- answers ----

void Connection::take_answer(Exchange& exchange, Push push) {
  // Losing the connection ends the exchange too: behind each send it may be somebody else's.
  std::vector<Segment>& segments = loop_.segments();
  if (exchange.simple()) {
    if (exchange.segments().empty()) {
      if (exchange.out != nullptr && !append_out(exchange)) return;
      return end_exchange(exchange);
    }
    segments.swap(exchange.segments());
    exchange.ended = true;
    if (exchange.out != nullptr && !append_out(exchange)) return discard_all(segments);
  } else {
    exchange.ended = exchange.take_handover(segments) || exchange.ended;
    answering_ = answering_ || !segments.empty();
  }
  if (!segments.empty() && out_ != nullptr && push == Push::now && !send_out(true)) return discard_all(segments);
  send_segments(segments, push);
  if (state_ != State::closing && exchange_ == &exchange && exchange.ended && exchange.returned) end_exchange(exchange);
}

void Connection::discard_all(std::vector<Segment>& segments) noexcept {
  for (Segment& segment : segments) discard(segment);
  segments.clear();
}

// The exchange's bytes go behind those of the answer before it, so that one write takes both.
// False: the connection was lost.
bool Connection::append_out(Exchange& exchange) {
  Buffer* answer = std::exchange(exchange.out, nullptr);
  if (out_ != nullptr && out_->room() < answer->size() && !send_out(true)) {
    loop_.pool().drop(answer);
    return false;
  }
  if (out_ == nullptr) {
    out_ = answer;
    return true;
  }
  std::memcpy(out_->tail(), answer->bytes() + answer->begin, answer->size());
  out_->end += static_cast<std::uint32_t>(answer->size());
  loop_.pool().drop(answer);
  return true;
}

void Connection::end_exchange(Exchange& exchange) {
  const std::uint64_t now = loop_.turn_ns();
  loop_.count_answer(exchange.status(), exchange.started_ns, now);
  loop_.log_access(exchange, {.status = exchange.status(), .body_bytes = exchange.body_sent()}, now);
  const bool body_unread = state_ == State::body;
  const bool cut = exchange.truncated();
  const bool keep = exchange.keep_alive && !cut && !body_unread;
  exchange_ = nullptr;
  exchange.ended = true;
  exchange.connection = nullptr;
  loop_.retire_exchange(exchange);
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
  if (exchange_ != nullptr && out_ != nullptr) return loop_.unflushed(*this);
  if (out_ != nullptr) flush();
  if (state_ != State::head) return;
  if (end_seen_) return sending_ == nullptr ? close() : static_cast<void>(close_after_ = true);
  if (in_ == nullptr && sending_ == nullptr) wait_for_request();
}

bool Connection::reserve_out(std::size_t bytes) {
  if (out_ != nullptr && out_->room() < bytes && !send_out(true)) return false;
  if (out_ == nullptr) out_ = bytes <= BufferPool::usual_capacity ? loop_.pool().take() : BufferPool::make(bytes);
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
  if (in_ != nullptr) loop_.pool().drop(std::exchange(in_, nullptr));
  loop_.wheel().set(*this, loop_.now_ms() + linger_ms);
  resume_reading();
}

}  // namespace narwhal::worker
