#include "worker/connection.hpp"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/log.hpp"
#include "worker/loop.hpp"
#include "worker/raw_io.hpp"

namespace narwhal::worker {

namespace {
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
  // The request is often there already, and the client often has but one: it is read before the kernel is asked to
  // watch the socket, so that a connection for one request costs one registration less.
  reading_ = true;
  loop_.dispatcher().add_unwatched(*this);
  loop_.dispatcher().add_readable(*this);
  return true;
}

void Connection::watch() {
  if (reading_ && state_ != State::closing) uv_read_start(&handle_.stream, on_alloc, on_readable);
}

void Connection::continue_with(Buffer* bytes) noexcept {
  in_ = bytes;
  due_in(loop_.config().header_timeout);
  guarded([&] {
    process();
    if (out_ != nullptr && !holds_answer && state_ != State::closing) flush();
  });
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
  loop_.exchanges().give_back(exchange);
  close();
  return true;
}

void Connection::close() {
  if (state_ == State::closing) return;
  state_ = State::closing;
  if (exchange_ != nullptr) {
    Exchange& exchange = *std::exchange(exchange_, nullptr);
    loop_.dispatcher().abandon(exchange);
  }
  if (in_ != nullptr) loop_.buffers().drop(std::exchange(in_, nullptr));
  if (out_ != nullptr) loop_.buffers().drop(std::exchange(out_, nullptr));
  Wheel::remove(*this);
  uv_close(&handle_.handle, [](uv_handle_t* handle) {
    auto* self = static_cast<Connection*>(handle->data);
    if (self->sending_ != nullptr) {
      for (Segment& segment : self->sending_->queue) discard(segment);
    }
    self->loop_.connections().free(self);
  });
  loop_.connections().removed();
}

// ---- time ----

void Connection::due_in(seconds limit) {
  if (limit.count() == 0) {
    Wheel::clear(*this);
  } else {
    loop_.wheel().set(*this, loop_.now() + limit);
  }
}

void Connection::wait_for_request() {
  untaken_ = 0;
  if (retired_) {
    loop_.wheel().set(*this, loop_.now() + Loop::retired_grace);
  } else {
    due_in(loop_.config().keepalive);
  }
}

void Connection::retire(std::chrono::milliseconds grace) {
  retired_ = true;
  // Half a head gets no longer than silence does: whoever sends it can try again elsewhere.
  if (state_ == State::head && sending_ == nullptr) loop_.wheel().set(*this, loop_.now() + grace);
}

void Connection::expired() noexcept {
  guarded([this] { look_at_time(); });
}

void Connection::look_at_time() {
  if (sending_ != nullptr) {
    if (const std::uint64_t by_now = delivered(); std::exchange(sending_->delivered_at_last_look, by_now) == by_now) {
      return lose("write_timeout");
    }
    if (takes_too_slowly()) return;
    return due_in(loop_.config().write_timeout);  // slow, but not silent
  }
  switch (state_) {
    case State::head:
      if (in_ == nullptr) return close_when_taken();
      return refuse(408, "the request's head took too long");
    case State::body: return refuse(408, "the request's body stopped coming");
    case State::lingering: return close_when_taken();
    case State::handling:
    case State::closing: return;
  }
}

// The client is gone, or as good as gone.
void Connection::lose(const char* why) {
  if (log::enabled(LogLevel::debug)) log::debug("Closing connection: {}", why);
  // What was sent of an answer must not look like the whole of it; nor shall the kernel hold it for who takes nothing.
  if (sending_ != nullptr || answering_) return reset();
  close();
}

// A call on its socket has failed: with a client that has left that is every day's, and otherwise the server's trouble.
void Connection::lose_to(int reason) {
  if (reason == ENOMEM || reason == ENOBUFS) {
    log::error("the connection of {} is dropped: {}", peer_.log_name(), std::strerror(reason));
  }
  lose(std::strerror(reason));
}

void Connection::out_of_memory() noexcept {
  log::error("the connection of {} is dropped: out of memory", peer_.log_name());
  discard_all(loop_.segments());
  if (state_ != State::closing) reset();
}

// Nothing is left to do, but the kernel may hold some of the last answer: whoever still takes it gets the rest, and
// whoever does not shall not keep it there.
void Connection::close_when_taken() {
  const std::size_t left = kernel_holds();
  const seconds patience = loop_.config().write_timeout;
  if (left == 0 || retired_ || patience.count() == 0) return close();
  const std::size_t before = std::exchange(untaken_, left);
  const std::size_t due = loop_.config().min_rate * static_cast<std::size_t>(patience.count());
  if (before != 0 && before - left < std::max<std::size_t>(due, 1)) {
    log::debug("Closing connection: the client does not take the answer");
    return reset();
  }
  due_in(patience);
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
  uv_read_start(&handle_.stream, on_alloc, on_readable);
}

// libuv is asked for readiness alone: a null buffer means "not now", and on_readable() hears of it. Reading happens when
// the request's turn has come, so that its bytes, its exchange and its answer are in the nearest cache together: with
// 64 connections that is a tenth of the whole cost.
void Connection::on_alloc(uv_handle_t*, size_t, uv_buf_t* out) noexcept { *out = uv_buf_init(nullptr, 0); }

void Connection::on_readable(uv_stream_t* stream, ssize_t status, const uv_buf_t*) noexcept {
  auto* self = static_cast<Connection*>(stream->data);
  if (status == UV_ENOBUFS) return self->loop_.dispatcher().add_readable(*self);
  if (status < 0) self->lose(uv_err_name(static_cast<int>(status)));
}

void Connection::read_now() noexcept {
  constexpr int reads_max = 4;  // of a body that keeps coming, before others get their turn
  bool filled = true;
  if (state_ == State::closing) return;
  guarded([&] {
    for (int count = 0; filled && reading_ && state_ != State::closing && count < reads_max; ++count)
      filled = read_once();
  });
}

// True when the room for it was filled: there may be more.
bool Connection::read_once() {
  char* into = loop_.scratch();
  std::size_t room = Loop::scratch_bytes;
  if (state_ != State::lingering && (state_ != State::body || in_ != nullptr)) {
    if (in_ == nullptr) in_ = loop_.buffers().take();
    into = in_->tail();
    room = in_->room();
  }
  const ssize_t count = raw_read(fd_, into, room);
  if (count > 0) {
    got_bytes(static_cast<std::size_t>(count));
    return static_cast<std::size_t>(count) == room;
  }
  const int reason = errno;
  if (in_ != nullptr && in_->size() == 0) loop_.buffers().drop(std::exchange(in_, nullptr));
  if (count == 0) {
    pause_reading();
    got_end();
  } else if (reason != EAGAIN && reason != EINTR) {
    lose_to(reason);
  }
  return false;
}

void Connection::got_bytes(std::size_t count) {
  loop_.counters().bytes_received(count);
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
  if (state_ == State::body && !body_moves(count)) return;
  if (state_ == State::body && in_ == nullptr) {
    std::size_t consumed = 0;
    const std::string_view bytes(loop_.scratch(), count);
    if (take_body_bytes(bytes, consumed)) {
      if (reading_) due_in(loop_.config().body_timeout);
      return;
    }
    if (state_ != State::handling || consumed == count) return;
    in_ = loop_.buffers().take();  // the next request has begun behind the body
    const std::string_view rest = bytes.substr(consumed);
    if (rest.size() > in_->room()) {
      loop_.buffers().drop(std::exchange(in_, nullptr));
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
    if (out_ != nullptr && !holds_answer && state_ != State::closing) flush();
  } else if (state_ == State::body) {
    process_body();
  }
}

void Connection::got_end() {
  end_seen_ = true;
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
      if (exchange_ != nullptr && exchange_->deferred && !exchange_->answer_ended()) lose("the client left");
      return;
    case State::closing: return;
  }
}

// Takes as many requests off the buffer as can be begun now.
void Connection::process() {
  if (proxy_header_due_ && !take_proxy_header()) [[unlikely]]
    return;
  while (state_ == State::head && in_ != nullptr && in_->size() != 0) {
    if (!process_head()) break;
  }
  if (in_ != nullptr && in_->size() == 0 && state_ != State::body) loop_.buffers().drop(std::exchange(in_, nullptr));
}

bool Connection::take_proxy_header() {
  const ProxyPolicy::ProxyHeader header = loop_.proxy_policy().take_proxy_header(in_->view(), peer_);
  if (header.status == protocol::Status::need_more) {
    fit_buffer();
    return false;
  }
  proxy_header_due_ = false;
  if (header.status == protocol::Status::refused) {
    refuse(header.refusal.http_status, header.refusal.fault);
    return false;
  }
  in_->begin += static_cast<std::uint32_t>(header.consumed);
  return true;
}

// Part of a head may wait for the rest for as long as header_timeout: it gets a buffer of its size, so that a thousand
// slow clients hold a megabyte, not sixteen; a full one gets a larger one.
void Connection::fit_buffer() {
  constexpr std::size_t smallest = 512;
  const std::size_t size = in_->size();
  const bool full = in_->room() == 0;
  if (!full && in_->capacity <= std::max(2 * size, smallest)) return;
  const std::size_t capacity = full ? std::max<std::size_t>(2 * size, BufferPool::usual_capacity) : size + smallest;
  if (!full && capacity >= in_->capacity) return;
  Buffer* fitting = BufferPool::make(capacity);
  std::memcpy(fitting->bytes(), in_->bytes() + in_->begin, size);
  fitting->end = static_cast<std::uint32_t>(size);
  loop_.buffers().drop(std::exchange(in_, fitting));
}

bool Connection::process_head() {
  Exchange& exchange = loop_.exchanges().take(*this);
  exchange_ = &exchange;
  const protocol::HeadFed fed = protocol::decode_head(in_->view(), scanned_, limits_of(loop_.config()), exchange.head);
  if (fed.status == protocol::Status::need_more) {
    scanned_ = static_cast<std::uint32_t>(fed.scanned);
    exchange_ = nullptr;
    loop_.exchanges().give_back(exchange);
    fit_buffer();
    return false;
  }
  if (fed.status == protocol::Status::refused) {
    exchange_ = nullptr;
    loop_.exchanges().give_back(exchange);
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
  exchange.started = loop_.turn_time();
  exchange.keep_alive = exchange.head.keep_alive && !retired_ && loop_.config().keepalive.count() != 0;
  exchange.mount = loop_.mounts().route(exchange.head.path);
  Wheel::clear(*this);
  if (loop_.proxy_policy().applies_to(exchange.head)) [[unlikely]] {
    if (const protocol::Refusal refusal = loop_.proxy_policy().apply(exchange.head, peer_, exchange.client)) {
      refuse(refusal.http_status, refusal.fault);
      return false;
    }
  }
  return begin_body();
}

}  // namespace narwhal::worker
