// Sending: straight to the socket while it takes everything; what it does not take goes through libuv's writes.
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/log.hpp"
#include "worker/connection.hpp"
#include "worker/loop.hpp"
#include "worker/raw_io.hpp"

namespace narwhal::worker {

namespace {
constexpr std::size_t parts_max = 16;                // of one writev
constexpr std::size_t file_piece_max = 256 * 1024;   // read of a file when the socket is slow
constexpr std::uint64_t write_bytes_max = 1u << 30;  // of one part of one write
constexpr std::size_t held_bytes_max = 8 * 1024;     // more is sent at once, whatever was asked
}  // namespace

void Connection::flush() {
  if (out_ != nullptr && !send_out(false)) return;
  if (close_after_ && sending_ == nullptr && exchange_ == nullptr && state_ != State::lingering) part();
}

// Bytes of the answer in the making have left: its writer may go on.
void Connection::account(const Segment& segment, std::uint64_t bytes) {
  if (segment.counted && exchange_ != nullptr) exchange_->handover.sent(bytes);
}

void Connection::sent_now(std::size_t bytes) {
  loop_.counters().bytes_sent(bytes);
  if (sending_ != nullptr) sending_->handed += bytes;
}

// Sends what is in out_. False: the connection was lost.
bool Connection::send_out(bool more) {
  Buffer* buffer = std::exchange(out_, nullptr);
  if (sending_ == nullptr) {
    const ssize_t sent =
        raw_send(fd_, buffer->bytes() + buffer->begin, buffer->size(), MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (sent == static_cast<ssize_t>(buffer->size())) {
      loop_.counters().bytes_sent(buffer->size());
      loop_.buffers().drop(buffer);
      return true;
    }
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
      loop_.buffers().drop(buffer);
      lose_to(errno);
      return false;
    }
    if (sent > 0) {
      loop_.counters().bytes_sent(static_cast<std::size_t>(sent));
      buffer->begin += static_cast<std::uint32_t>(sent);
    }
  }
  Segment rest{.data = buffer->bytes() + buffer->begin,
               .size = buffer->size(),
               .release = Loop::drop_buffer,
               .release_arg = buffer};
  queue_rest(&rest, &rest + 1);
  return true;
}

// Takes the segments over.
void Connection::send_segments(std::vector<Segment>& segments, Push push) {
  std::uint64_t bytes = 0;
  for (const Segment& segment : segments) bytes += segment.data == nullptr ? held_bytes_max + 1 : segment.size;
  const bool held = push == Push::hold || (push == Push::soon && loop_.dispatcher().gathers_answers());
  if (held && sending_ == nullptr && bytes != 0 && bytes <= held_bytes_max) {
    if (!reserve_out(bytes)) return discard_all(segments);
    for (Segment& segment : segments) {
      std::memcpy(out_->tail(), segment.data, segment.size);
      out_->end += static_cast<std::uint32_t>(segment.size);
    }
    if (exchange_ != nullptr) exchange_->handover.sent(bytes);
    discard_all(segments);
    loop_.dispatcher().hold_answer(*this);
    return;
  }
  Segment* first = segments.data();
  Segment* const end = first + segments.size();
  if (out_ != nullptr && first != end && !send_out(true)) return discard_all(segments);
  if (sending_ == nullptr) first = send_now(first, end, false);
  if (first != nullptr && first != end) queue_rest(first, end);
  discard_all(segments);
}

// The first segment that is not wholly sent, `end` when all are, null when the connection was lost.
Segment* Connection::send_now(Segment* first, Segment* end, bool more) {
  while (first != end) {
    if (first->data == nullptr) {
      if (!send_file_now(*first)) return state_ == State::closing ? nullptr : first;
      discard(*first++);
      continue;
    }
    iovec parts[parts_max];
    std::size_t count = 0;
    for (Segment* at = first; at != end && at->data != nullptr && count < parts_max; ++at) {
      parts[count++] = {const_cast<char*>(at->data), static_cast<std::size_t>(at->size)};
    }
    ssize_t sent;
    if (count == 1) {  // cheaper by a copy of the message's header
      sent = raw_send(fd_, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    } else {
      msghdr message{};
      message.msg_iov = parts;
      message.msg_iovlen = count;
      sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    }
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return first;
    if (sent < 0) {
      lose_to(errno);
      return nullptr;
    }
    sent_now(static_cast<std::size_t>(sent));
    for (auto left = static_cast<std::uint64_t>(sent); left != 0;) {
      const std::uint64_t taken = std::min(left, first->size);
      first->data += taken;
      first->size -= taken;
      left -= taken;
      account(*first, taken);
      if (first->size == 0) discard(*first++);
    }
  }
  return end;
}

// True when the whole range is sent; false when the socket is full or the connection lost.
bool Connection::send_file_now(Segment& segment) {
  while (segment.size != 0) {
    off_t offset = segment.offset;
    const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(segment.size, 1u << 30));
    const ssize_t sent = ::sendfile(fd_, segment.file, &offset, count);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return false;
    if (sent < 0 && errno != EIO && errno != EINVAL) {  // the socket's error: the client has left
      lose_to(errno);
      return false;
    }
    if (sent <= 0) {
      cut_file(segment, sent == 0 ? 0 : errno);
      return false;
    }
    sent_now(static_cast<std::size_t>(sent));
    account(segment, static_cast<std::uint64_t>(sent));
    segment.offset = offset;
    segment.size -= static_cast<std::uint64_t>(sent);
  }
  return true;
}

// A file that has become shorter than was promised, or cannot be read any more: the client must not take what it has
// for the whole. Its request may have been seen off already, so that the client's address is all there is to name.
void Connection::cut_file(const Segment& segment, int reason) {
  log::error("the response to {} is cut off: the file it comes from {}, {} bytes too early", peer_.text(),
             reason == 0 ? "has ended" : std::strerror(reason), segment.size);
  reset();
}

void Connection::begin_sending() {
  sending_ = std::make_unique<Sending>();
  sending_->request.data = this;
  sending_->delivered_at_last_look = delivered();
  sending_->pace.start(loop_.now(), delivered());
  due_in(loop_.config().write_timeout);
}

// Takes the segments over, also when it throws std::bad_alloc.
void Connection::queue_rest(Segment* first, Segment* end) {
  try {
    if (sending_ == nullptr) begin_sending();
    std::for_each(first, end, own);
    sending_->queue.insert(sending_->queue.end(), first, end);
  } catch (...) {
    std::for_each(first, end, discard);
    throw;
  }
  for (; first != end; ++first) *first = {};
  if (sending_->in_write == 0) write_rest();
}

// What has reached the client, but for a constant: differences count. What the kernel still holds moves long before it
// reports room for more.
std::uint64_t Connection::delivered() noexcept {
  return sending_->handed - uv_stream_get_write_queue_size(&handle_.stream) - kernel_holds();
}

std::size_t Connection::kernel_holds() noexcept {
  int queued = 0;
  return ::ioctl(fd_, SIOCOUTQ, &queued) == 0 ? static_cast<std::size_t>(queued) : 0;
}

bool Connection::takes_too_slowly() {
  if (!sending_->pace.too_slow(loop_.now(), delivered(), loop_.config().min_rate)) return false;
  lose("the client takes less than min_rate");
  return true;
}

// One libuv write of what is next; it calls back when the socket has taken all of it.
void Connection::write_rest() {
  Sending& sending = *sending_;
  uv_buf_t parts[parts_max];
  unsigned count = 0;
  Segment& next = sending.queue[sending.first];
  if (next.data == nullptr) {
    sending.piece.resize(std::min<std::uint64_t>(next.size, file_piece_max));
    const ssize_t got = ::pread(next.file, sending.piece.data(), sending.piece.size(), next.offset);
    if (got <= 0) return cut_file(next, got == 0 ? 0 : errno);
    sending.piece.resize(static_cast<std::size_t>(got));
    parts[count++] = uv_buf_init(sending.piece.data(), static_cast<unsigned>(got));
    next.offset += got;
    next.size -= static_cast<std::uint64_t>(got);
    sending.in_write = 1;
  } else {
    for (std::size_t at = sending.first; at < sending.queue.size() && count < parts_max; ++at) {
      const Segment& segment = sending.queue[at];
      if (segment.data == nullptr) break;
      // uv_buf_t counts in unsigned on some systems: a huge segment goes in several writes.
      parts[count++] = uv_buf_init(const_cast<char*>(segment.data),
                                   static_cast<unsigned>(std::min<std::uint64_t>(segment.size, write_bytes_max)));
      if (segment.size > write_bytes_max) break;
    }
    sending.in_write = count;
  }
  for (unsigned part = 0; part < count; ++part) sending.handed += parts[part].len;
  const int status = uv_write(&sending.request, &handle_.stream, parts, count, [](uv_write_t* request, int result) {
    auto* const self = static_cast<Connection*>(request->data);
    self->guarded([&] { self->wrote_rest(result); });
  });
  if (status != 0) return lose_to(-status);  // libuv's codes are errno's, negated
}

void Connection::wrote_rest(int status) {
  if (state_ == State::closing) return;  // the close callback frees what is queued
  Sending& sending = *sending_;
  if (status != 0) return lose_to(-status);
  if (takes_too_slowly()) return;
  due_in(loop_.config().write_timeout);
  for (; sending.in_write != 0; --sending.in_write) {
    Segment& segment = sending.queue[sending.first];
    std::uint64_t bytes;
    if (segment.data == nullptr) {
      bytes = sending.piece.size();  // write_rest() took them off the segment
    } else {
      bytes = std::min<std::uint64_t>(segment.size, write_bytes_max);
      segment.data += bytes;
      segment.size -= bytes;
    }
    loop_.counters().bytes_sent(bytes);
    account(segment, bytes);
    if (segment.size != 0) continue;
    discard(segment);
    ++sending.first;
  }
  if (sending.first != sending.queue.size()) {
    Segment* const base = sending.queue.data();
    Segment* const next = send_now(base + sending.first, base + sending.queue.size(), false);
    if (next == nullptr || state_ == State::closing) return;
    sending.first = static_cast<std::size_t>(next - base);
  }
  if (sending.first != sending.queue.size()) return write_rest();
  sending_.reset();
  all_sent();
}

void Connection::all_sent() {
  Wheel::clear(*this);
  if (out_ != nullptr && !send_out(false)) return;
  if (sending_ != nullptr) return;
  if (close_after_ && exchange_ == nullptr) return part();
  if (state_ == State::head)
    next_request();
  else if (state_ == State::body && reading_)
    due_in(loop_.config().body_timeout);
}

}  // namespace narwhal::worker
