#include "worker/connection.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/log.hpp"
#include "core/log_limit.hpp"
#include "worker/loop.hpp"
#include "worker/raw_io.hpp"

namespace narwhal::worker {

namespace {

constexpr std::size_t lingered_bytes_max = 1024 * 1024;
constexpr std::chrono::seconds linger_limit{2};  // for the client to read the last answer
constexpr std::size_t replied_max = 4096;        // bytes of FastCGI's replies that may wait
constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";

// Whatever has happened to the socket, reading it will show.
void on_readable(uv_stream_t* stream, ssize_t, const uv_buf_t*) noexcept {
  static_cast<Loop*>(stream->loop->data)->dispatcher().add_readable(*static_cast<Connection*>(stream->data));
}

// False, and a line in the log: `status` is an error of libuv.
bool has_joined(int status) {
  if (status == 0) return true;
  static LogLimit limit;
  limit.error("a connection cannot join the event loop: {}", uv_strerror(status));
  return false;
}

}  // namespace

// ---- its life ----

bool Connection::open(int fd, Begins begins) {
  if (begins == Begins::with_proxy_header) reader_.expect_proxy_header();
  if (!has_joined(socket_.open(loop_.uv(), peer_.family, fd, this))) {
    close();
    return false;
  }
  set_time_limit(loop_.config().header_timeout);
  socket_.expect_reading();
  loop_.dispatcher().add_unwatched(*this);
  loop_.dispatcher().add_readable(*this);
  return true;
}

void Connection::watch() {
  if (state_ != State::closing && !has_joined(socket_.watch(on_readable))) reset();
}

void Connection::continue_with(Buffer* bytes) noexcept {
  reader_.adopt(bytes);
  set_time_limit(loop_.config().header_timeout);
  contain([this] {
    read_request();
    if (sender_.holds() && !holds_answer && state_ != State::closing) flush();
  });
}

bool Connection::give_to_sibling(const Relay& relay) {
  Exchange& exchange = *exchange_;
  // What is not whole in bytes that were read stays: a spooled body, an answer that is still leaving.
  const bool whole = state_ == State::handling && reader_.contains(exchange);
  if (!whole || sender_.waiting() || sender_.holds() || end_seen_) return false;
  const char* const begin = exchange.request_begin;
  const std::string_view request(begin, static_cast<std::size_t>(exchange.request_end - begin));
  if (!relay.give(socket_.fd(), peer_, request, reader_.unread())) return false;
  exchange_ = nullptr;
  loop_.exchanges().give_back(exchange);
  close();
  return true;
}

void Connection::retire(std::chrono::milliseconds grace) {
  retired_ = true;
  // Half a head gets no longer than silence does: its client can try again elsewhere.
  if (state_ == State::head && !sender_.waiting()) loop_.wheel().set(*this, loop_.now() + grace);
}

void Connection::close() {
  if (state_ == State::closing) return;
  state_ = State::closing;
  if (exchange_ != nullptr)
    loop_.dispatcher().drop_answer(*std::exchange(exchange_, nullptr), Answered::none, counted_);
  reader_.clear();
  sender_.close();
  Wheel::remove(*this);
  socket_.close([](uv_handle_t* handle) {
    auto* self = static_cast<Connection*>(handle->data);
    self->loop_.connections().free(self);
  });
  loop_.connections().removed();
}

// ---- time ----

void Connection::set_time_limit(std::chrono::seconds limit) {
  if (limit == no_limit) return Wheel::clear(*this);
  loop_.wheel().set(*this, loop_.now() + limit);
}

// A client that must take bytes of the answer before it sends more of its request has write_timeout, however much of the
// body it sends meanwhile. on_all_sent() comes back to the body.
void Connection::set_body_limit(std::chrono::seconds limit) {
  if (!sender_.waiting()) set_time_limit(limit);
}

void Connection::expired() noexcept {
  contain([this] {
    if (sender_.waiting()) return sender_.check_progress();
    switch (state_) {
      case State::head:
        if (!reader_.holds_buffer() && reader_.at_rest()) return close_when_taken();
        return refuse({408, "the request's head took too long"});
      case State::body: return refuse({408, "the request's body stopped coming"});
      case State::lingering: return close_when_taken();
      case State::handling:
      case State::closing: return;
    }
  });
}

// Nothing is left to do, but the kernel may hold some of the last answer: a client that still takes it gets the rest, and
// one that does not shall not keep it there.
void Connection::close_when_taken() {
  const std::size_t left = socket_.unacknowledged();
  const std::chrono::seconds patience = loop_.config().write_timeout;
  if (left == 0 || retired_ || patience.count() == 0) return close();
  const std::size_t before = std::exchange(untaken_, left);
  const std::size_t due = loop_.config().min_rate * static_cast<std::size_t>(patience.count());
  if (before != 0 && before - left < std::max<std::size_t>(due, 1)) {
    log::debug("Closing connection: the client does not take the answer");
    return reset();
  }
  set_time_limit(patience);
}

// ---- the end ----

// The last answer has been sent: the connection ends so that the client gets it.
void Connection::shut_down() {
  if (cut_) return reset();
  if (!unread_ || end_seen_) return close();
  // Closing with unread bytes would send a reset that can overtake the answer (RFC 9112 9.6).
  socket_.shut_down_sending();
  state_ = State::lingering;
  lingered_ = 0;
  untaken_ = 0;
  reader_.clear();
  set_time_limit(linger_limit);
  resume_reading();
}

void Connection::reset() {
  socket_.reset_on_close();
  close();
}

// The client is gone, or counts as gone.
void Connection::abort(const char* why) {
  if (log::enabled(LogLevel::debug)) log::debug("Closing connection: {}", why);
  // What was sent of an answer must not look like the whole of it, nor shall the kernel keep it for a client that takes
  // nothing.
  const bool is_begun = sender_.waiting() || (exchange_ != nullptr && exchange_->head_taken);
  if (exchange_ != nullptr)
    loop_.dispatcher().drop_answer(*std::exchange(exchange_, nullptr), Answered::client_left, counted_);
  if (is_begun) return reset();
  close();
}

const char* reason_for(int code, const Peer& peer) noexcept {
  if (code == ENOMEM || code == ENOBUFS) {
    static LogLimit limit;
    limit.error("the connection of {} is dropped: {}", peer.log_name(), std::strerror(code));
  }
  return std::strerror(code);
}

void Connection::abort_without_memory() noexcept {
  static LogLimit limit;
  limit.error("the connection of {} is dropped: out of memory", peer_.log_name());
  discard_all(loop_.segments());
  if (state_ != State::closing) reset();
}

// ---- reading ----

void Connection::resume_reading() {
  if (socket_.reading() || end_seen_ || state_ == State::closing) return;
  if (state_ == State::handling && reader_.full()) return;  // next_request() comes back to it
  if (!has_joined(socket_.start_reading(on_readable))) reset();
}

void Connection::read_now() noexcept {
  constexpr int reads_max = 4;  // of a body that keeps coming, before others get their turn
  bool filled = true;
  if (state_ == State::closing) return;
  contain([&] {
    for (int count = 0; filled && socket_.reading() && state_ != State::closing && count < reads_max; ++count)
      filled = read_once();
  });
}

// True when the room for it was filled: there may be more.
bool Connection::read_once() {
  const RequestReader::Room room =
      state_ == State::lingering ? RequestReader::Room{loop_.scratch(), Loop::scratch_bytes} : reader_.room();
  const ssize_t count = raw_read(socket_.fd(), room.bytes, room.size);
  if (count > 0) {
    take_bytes(static_cast<std::size_t>(count));
    return static_cast<std::size_t>(count) == room.size;
  }
  const int reason = errno;
  reader_.release_if_empty();
  if (count == 0) {
    socket_.stop_reading();
    take_end();
  } else if (reason != EAGAIN && reason != EINTR) {
    abort(reason_for(reason, peer_));
  }
  return false;
}

void Connection::take_bytes(std::size_t count) {
  loop_.counters().bytes_received(count);
  switch (state_) {
    case State::head: {
      const bool is_first = reader_.at_rest();
      reader_.took(count);
      if (sender_.waiting()) break;  // the answer before this request is still leaving
      if (is_first) set_time_limit(loop_.config().header_timeout);
      read_request();
      if (sender_.holds() && !holds_answer && state_ != State::closing) flush();
      break;
    }
    case State::body: act_on(reader_.take_body(*exchange_, count)); break;
    case State::handling:
      reader_.took(count);
      // After the answer the web server may begin its next request, while the handler is still at work.
      if (peer_.wire == Wire::fastcgi && exchange_ != nullptr && !exchange_->ended) act_on(reader_.watch());
      break;
    case State::lingering: lingered_ += count; return lingered_ > lingered_bytes_max ? close() : void();
    case State::closing: return;
  }
  // A full buffer is read on when the requests in it have been answered.
  if (state_ != State::closing && reader_.full()) socket_.stop_reading();
}

void Connection::take_end() {
  end_seen_ = true;
  switch (state_) {
    case State::lingering: return close();
    case State::body: return abort("the client left in the middle of a body");
    case State::head:
      if (!sender_.waiting()) return close();
      close_after_ = true;  // a half-closed client still reads
      return;
    case State::handling:
      // A plain handler's answer is due at any moment, and a half-closed client gets it. A deferred one may wait for ever,
      // and cannot know that its client has left.
      if (exchange_ != nullptr && exchange_->deferred && !exchange_->answer_ended()) abort("the client left");
      return;
    case State::closing: return;
  }
}

// Begins the next request, if enough of it is there.
void Connection::read_request() {
  if (const auto step = reader_.take_proxy_header(peer_); step.status != RequestReader::Status::complete) [[unlikely]]
    return act_on(step);
  begins_request_ = true;
  // Mostly once. A request that the web server has aborted is followed by the next one.
  for (std::size_t before = 0; state_ == State::head && !reader_.empty() && before != reader_.unread().size();) {
    before = reader_.unread().size();
    Exchange& exchange = loop_.exchanges().take(*this);
    exchange_ = &exchange;
    const RequestReader::Step step = reader_.take_head(exchange, peer_);
    if (exchange.in == nullptr) {
      exchange_ = nullptr;
      loop_.exchanges().give_back(exchange);
    } else {
      keeps_ = exchange.head.keep_alive && !retired_ && loop_.config().keepalive.count() != 0;
      exchange.keep_alive = keeps_;
    }
    act_on(step);
  }
  begins_request_ = false;
  if (state_ != State::body) reader_.release_if_empty();
}

void Connection::act_on(const RequestReader::Step& step) {
  if (peer_.wire == Wire::fastcgi) [[unlikely]] {
    const std::string replies = reader_.take_replies();
    replied_ += replies.size();
    if (replied_ > replied_max && sender_.waiting()) return abort("the web server does not read what it asks for");
    if (!replies.empty() && sender_.append(replies) && !sender_.waiting()) flush();
    if (state_ == State::closing) return;
  }
  switch (step.status) {
    case RequestReader::Status::need_head: return;
    case RequestReader::Status::need_body: state_ = State::body; return set_body_limit(loop_.config().body_timeout);
    case RequestReader::Status::body_full:
      state_ = State::body;
      socket_.stop_reading();
      return set_body_limit(no_limit);  // the silence is ours, not the client's
    case RequestReader::Status::expects_continue:
      state_ = State::body;
      if (sender_.append(go_on)) flush();
      if (state_ == State::body) act_on(reader_.continue_body(*exchange_));
      return;
    case RequestReader::Status::complete:
      state_ = State::handling;
      set_body_limit(no_limit);
      resume_reading();
      if (peer_.wire == Wire::fastcgi && !reader_.empty() && !exchange_->ended) act_on(reader_.watch());
      return;
    case RequestReader::Status::aborted: return abort_request();
    case RequestReader::Status::ends:
      state_ = State::handling;
      close_after_ = unread_ = true;
      return flush();
    case RequestReader::Status::refused: return refuse(step.refusal);
  }
}

void Connection::resume_body() noexcept {
  if (state_ != State::body || exchange_ == nullptr || socket_.reading() ||
      exchange_->inbox.stop_when_full(loop_.config().body_buffer_size))
    return;
  set_body_limit(loop_.config().body_timeout);
  resume_reading();
}

std::size_t Connection::read_body_into(char* buffer, std::size_t size) noexcept {
  if (state_ != State::body || !socket_.reading()) return 0;
  const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(size, reader_.bypass_max()));
  if (most == 0) return 0;
  const ssize_t count = raw_read(socket_.fd(), buffer, most);
  if (count <= 0) return 0;
  const auto got = static_cast<std::size_t>(count);
  loop_.counters().bytes_received(got);
  bool is_taken = false;
  contain([&] {
    const RequestReader::Step step = reader_.bypassed(*exchange_, got);
    is_taken = step.status != RequestReader::Status::refused;
    act_on(step);
  });
  return is_taken ? got : 0;
}

}  // namespace narwhal::worker
