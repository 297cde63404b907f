// How a connection collects a request's body: in the buffer behind the head where it fits, else in memory or a file,
// or piece by piece for a handler that reads it as a stream.
#include <algorithm>
#include <cstring>

#include "core/log.hpp"
#include "worker/connection.hpp"
#include "worker/loop.hpp"
#include "worker/raw_io.hpp"

namespace narwhal::worker {

bool Connection::begin_body() {
  Exchange& exchange = *exchange_;
  const protocol::Head& head = exchange.head;
  if (exchange.mount == nullptr) {
    exchange.host_status = 404;
    // A small body is read and dropped; for a larger one that nobody wants, or one that waits for our leave, the
    // connection ends with the answer.
    const bool small = head.framing == protocol::Framing::length && !head.expect_continue &&
                       head.content_length <= in_->capacity - in_->begin;
    if (head.framing != protocol::Framing::none && !small) {
      refuse(404, "no application is mounted there");
      return false;
    }
  }
  if (head.framing == protocol::Framing::none) {
    body_complete();
    return false;
  }
  const bool chunked = head.framing == protocol::Framing::chunked;
  const std::uint64_t limit = loop_.config().limit_request_body != 0 ? loop_.config().limit_request_body : UINT64_MAX;
  if (!chunked && head.content_length > limit) {
    refuse(413, "the request's body is larger than limit_request_body");
    return false;
  }
  state_ = State::body;
  exchange.body_arrived = 0;
  exchange.body_pace.start(exchange.mount != nullptr && exchange.mount->streams_body() ? unset : loop_.now());
  body_left_ = chunked ? limit : head.content_length;
  contained_ = false;
  if (chunked) chunks_ = std::make_unique<protocol::ChunkDecoder>();
  if (head.expect_continue && in_->size() == 0) {
    static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!reserve_out(go_on.size())) return false;
    std::memcpy(out_->tail(), go_on.data(), go_on.size());
    out_->end += static_cast<std::uint32_t>(go_on.size());
    flush();
    if (state_ != State::body) return false;
  }
  if (exchange.mount != nullptr && exchange.mount->streams_body()) {
    exchange.inbox.expect();
    loop_.dispatcher().make_ready(exchange);
  } else {
    contained_ = !chunked && body_left_ <= in_->capacity - in_->begin;
  }
  process_body();
  if (state_ == State::body && reading_) due_in(loop_.config().body_timeout);
  return false;
}

bool Connection::body_moves(std::size_t count) {
  Exchange& exchange = *exchange_;
  exchange.body_arrived += count;
  // A handler that reads a stream may itself be what is slow: there only the time counts that it waited for the client.
  const bool streams = exchange.mount != nullptr && exchange.mount->streams_body();
  const Instant by_now = streams ? unset + exchange.client_wait.total(loop_.turn_time()) : loop_.now();
  if (!exchange.body_pace.too_slow(by_now, exchange.body_arrived, loop_.config().min_rate)) return true;
  refuse(408, "the request's body comes at less than min_rate");
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
  if (more || in_->size() == 0) loop_.buffers().drop(std::exchange(in_, nullptr));
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
      if (piece.size() > body_left_) {
        refuse(413, "the request's body is larger than limit_request_body");
        return false;
      }
      body_left_ -= piece.size();
    } else {
      piece = bytes.substr(consumed, static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, bytes.size())));
      consumed += piece.size();
      body_left_ -= piece.size();
      last = body_left_ == 0;
    }
    if (streams) {
      if (!piece.empty()) exchange.inbox.feed(piece);
    } else if (Result<Done> kept = exchange.body.append(piece, config.body_buffer_size, config.tmp_upload_dir); !kept) {
      log::error("{} {}: {}", exchange.head.method.view(), exchange.head.target.view(), kept.error());
      refuse(503, "no room for the request's body");
      return false;
    }
    if (last) {
      body_complete();
      return false;
    }
  }
  if (streams && exchange.inbox.stop_when_full(loop_.config().body_buffer_size)) {
    pause_reading();  // the silence is ours, not the client's
    Wheel::clear(*this);
  }
  return true;
}

void Connection::resume_body() noexcept {
  if (state_ != State::body || exchange_ == nullptr || reading_) return;
  if (exchange_->inbox.stop_when_full(loop_.config().body_buffer_size)) return;
  due_in(loop_.config().body_timeout);
  resume_reading();
}

std::size_t Connection::read_body_into(char* buffer, std::size_t size) noexcept {
  if (state_ != State::body || chunks_ != nullptr || in_ != nullptr || !reading_) return 0;
  const ssize_t count = raw_read(fd_, buffer, static_cast<std::size_t>(std::min<std::uint64_t>(size, body_left_)));
  if (count <= 0) return 0;
  const auto got = static_cast<std::size_t>(count);
  loop_.counters().bytes_received(got);
  bool taken = false;
  guarded([&] { taken = body_moves(got); });  // else it is refused
  if (!taken) return 0;
  body_left_ -= got;
  if (body_left_ == 0) {
    body_complete();
  } else {
    due_in(loop_.config().body_timeout);
  }
  return got;
}

void Connection::body_complete() {
  if (in_ != nullptr) exchange_->request_end = in_->bytes() + in_->begin;
  chunks_.reset();
  state_ = State::handling;
  Wheel::clear(*this);
  resume_reading();
  if (exchange_->mount != nullptr && exchange_->mount->streams_body() &&
      exchange_->head.framing != protocol::Framing::none) {
    exchange_->inbox.end();  // its handler is at it already
  } else {
    loop_.dispatcher().make_ready(*exchange_);
  }
}

}  // namespace narwhal::worker
