#include "worker/sender.hpp"

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "worker/client_socket.hpp"
#include "worker/loop.hpp"
#include "worker/raw_io.hpp"

namespace narwhal::worker {

namespace {

constexpr std::size_t parts_max = 16;                // of one writev
constexpr std::size_t file_piece_max = 256 * 1024;   // read of a file while the socket is slow
constexpr std::uint64_t write_bytes_max = 1u << 30;  // of one part of one write
constexpr std::size_t held_bytes_max = 8 * 1024;     // of segments; more is sent at once, whatever was asked

void discard_range(Segment* first, Segment* end) noexcept { std::for_each(first, end, discard); }

}  // namespace

Sender::~Sender() {
  if (waiting_ != nullptr) discard_all(waiting_->parts);
}

void Sender::close() noexcept {
  if (held_ != nullptr) loop_.buffers().drop(std::exchange(held_, nullptr));
}

// ---- held bytes ----

char* Sender::room_for(std::size_t bytes) {
  if (held_ != nullptr && held_->room() < bytes && !send_held(Next::more)) return nullptr;
  if (held_ == nullptr) held_ = bytes <= BufferPool::usual_capacity ? loop_.buffers().take() : BufferPool::make(bytes);
  return held_->tail();
}

bool Sender::append(std::string_view bytes) {
  char* const to = room_for(bytes.size());
  if (to == nullptr) return false;
  std::memcpy(to, bytes.data(), bytes.size());
  added(bytes.size());
  return true;
}

// After the bytes of the answer before it, so that one write takes both.
bool Sender::append(Buffer* buffer) {
  const auto drop = [this](Buffer* dropped) { loop_.buffers().drop(dropped); };
  std::unique_ptr<Buffer, decltype(drop)> answer(buffer, drop);
  if (held_ != nullptr && held_->room() < answer->size() && !send_held(Next::more)) return false;
  if (held_ == nullptr) {
    held_ = answer.release();
    return true;
  }
  std::memcpy(held_->tail(), answer->bytes() + answer->begin, answer->size());
  added(answer->size());
  return true;
}

bool Sender::can_hold(const std::vector<Segment>& segments) const noexcept {
  std::uint64_t bytes = 0;
  for (const Segment& segment : segments) {
    if (segment.data == nullptr) return false;
    bytes += segment.size;
  }
  return !waiting() && bytes != 0 && bytes <= held_bytes_max;
}

bool Sender::hold(std::vector<Segment>& segments) {
  std::size_t bytes = 0;
  for (const Segment& segment : segments) bytes += static_cast<std::size_t>(segment.size);
  const bool has_room = room_for(bytes) != nullptr;
  for (const Segment& segment : segments) {
    if (!has_room) break;
    std::memcpy(held_->tail(), segment.data, static_cast<std::size_t>(segment.size));
    added(static_cast<std::size_t>(segment.size));
    if (segment.counted) owner_.on_sent(segment.size);
  }
  discard_all(segments);
  return has_room;
}

bool Sender::send_held(Next next) {
  Buffer* buffer = std::exchange(held_, nullptr);
  if (waiting_ == nullptr) {
    const int flags = MSG_NOSIGNAL | (next == Next::more ? MSG_MORE : 0);
    const ssize_t count = raw_send(socket_.fd(), buffer->bytes() + buffer->begin, buffer->size(), flags);
    if (count == static_cast<ssize_t>(buffer->size())) {
      loop_.counters().bytes_sent(buffer->size());
      loop_.buffers().drop(buffer);
      return true;
    }
    if (count < 0 && errno != EAGAIN && errno != EINTR) {
      const int reason = errno;
      loop_.buffers().drop(buffer);
      fail({.kind = SendError::Kind::socket, .code = reason});
      return false;
    }
    if (count > 0) {
      loop_.counters().bytes_sent(static_cast<std::size_t>(count));
      buffer->begin += static_cast<std::uint32_t>(count);
    }
  }
  Segment rest{.data = buffer->bytes() + buffer->begin,
               .size = buffer->size(),
               .release = Loop::drop_buffer,
               .release_arg = buffer};
  wait_with(&rest, &rest + 1);
  return true;
}

// ---- at once ----

bool Sender::send(std::vector<Segment>& segments) {
  Segment* first = segments.data();
  Segment* const end = first + segments.size();
  if (held_ != nullptr && first != end && !send_held(Next::more)) {
    first = nullptr;
  } else if (waiting_ == nullptr) {
    first = send_now(first, end);
  }
  if (first != nullptr && first != end) wait_with(first, end);
  discard_all(segments);
  return first != nullptr || end == nullptr;
}

// The first segment that is not wholly sent, `end` when all are, null when sending has failed.
Segment* Sender::send_now(Segment* first, Segment* end) {
  while (first != end) {
    if (first->data == nullptr) {
      const FileSent result = send_file_now(*first);
      if (result != FileSent::all) return result == FileSent::some ? first : nullptr;
      discard(*first++);
      continue;
    }
    iovec parts[parts_max];
    std::size_t count = 0;
    for (Segment* at = first; at != end && at->data != nullptr && count < parts_max; ++at) {
      parts[count++] = {const_cast<char*>(at->data), static_cast<std::size_t>(at->size)};
    }
    ssize_t bytes;
    if (count == 1) {  // cheaper by a copy of the message's header
      bytes = raw_send(socket_.fd(), parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL);
    } else {
      msghdr message{};
      message.msg_iov = parts;
      message.msg_iovlen = count;
      bytes = ::sendmsg(socket_.fd(), &message, MSG_NOSIGNAL);
    }
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0 && errno == EAGAIN) return first;
    if (bytes < 0) {
      fail({.kind = SendError::Kind::socket, .code = errno});
      return nullptr;
    }
    first = consume(first, static_cast<std::uint64_t>(bytes));
  }
  return end;
}

// The kernel has taken so much of the segments. Returns the first that it has not taken whole.
Segment* Sender::consume(Segment* first, std::uint64_t bytes) {
  count_sent(bytes);
  while (bytes != 0) {
    const std::uint64_t taken = std::min(bytes, first->size);
    first->data += taken;
    first->size -= taken;
    bytes -= taken;
    if (first->counted) owner_.on_sent(taken);
    if (first->size == 0) discard(*first++);
  }
  return first;
}

void Sender::count_sent(std::uint64_t bytes) noexcept {
  loop_.counters().bytes_sent(bytes);
  if (waiting_ != nullptr) waiting_->handed += bytes;
}

Sender::FileSent Sender::send_file_now(Segment& segment) {
  while (segment.size != 0) {
    off_t offset = segment.offset;
    const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(segment.size, write_bytes_max));
    const ssize_t bytes = ::sendfile(socket_.fd(), segment.file, &offset, count);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0 && errno == EAGAIN) return FileSent::some;
    if (bytes < 0 && errno != EIO && errno != EINVAL) {  // the socket's error: the client has left
      fail({.kind = SendError::Kind::socket, .code = errno});
      return FileSent::failed;
    }
    if (bytes <= 0) {
      fail_file(segment, bytes == 0 ? 0 : errno);
      return FileSent::failed;
    }
    count_sent(static_cast<std::uint64_t>(bytes));
    if (segment.counted) owner_.on_sent(static_cast<std::uint64_t>(bytes));
    segment.offset = offset;
    segment.size -= static_cast<std::uint64_t>(bytes);
  }
  return FileSent::all;
}

// ---- by libuv's writes ----

// Takes the segments over, also when it throws std::bad_alloc.
void Sender::wait_with(Segment* first, Segment* end) {
  try {
    if (waiting_ == nullptr) begin_waiting();
    std::for_each(first, end, own);
    waiting_->parts.insert(waiting_->parts.end(), first, end);
  } catch (...) {
    discard_range(first, end);
    throw;
  }
  for (; first != end; ++first) *first = {};
  if (waiting_->in_write == 0) write_next();
}

void Sender::begin_waiting() {
  waiting_ = std::make_unique<Waiting>();
  waiting_->request.data = this;
  waiting_->delivered_at_last_look = delivered();
  waiting_->pace.start(loop_.now(), delivered());
  owner_.on_waiting();
}

// One libuv write of what is next; it calls back when the socket has taken all of it.
void Sender::write_next() {
  Waiting& waiting = *waiting_;
  uv_buf_t parts[parts_max];
  unsigned count = 0;
  if (waiting.parts[waiting.first].data == nullptr) {
    if (!read_piece(waiting.parts[waiting.first], parts[count++])) return;
  } else {
    for (std::size_t at = waiting.first; at < waiting.parts.size() && count < parts_max; ++at) {
      const Segment& segment = waiting.parts[at];
      if (segment.data == nullptr) break;
      // uv_buf_t counts in unsigned on some systems: a huge segment goes in several writes.
      parts[count++] = uv_buf_init(const_cast<char*>(segment.data),
                                   static_cast<unsigned>(std::min<std::uint64_t>(segment.size, write_bytes_max)));
      if (segment.size > write_bytes_max) break;
    }
  }
  waiting.in_write = count;
  for (unsigned part = 0; part < count; ++part) waiting.handed += parts[part].len;
  const int status = socket_.write(&waiting.request, parts, count, [](uv_write_t* request, int result) {
    static_cast<Sender*>(request->data)->on_written(result);
  });
  if (status != 0) fail({.kind = SendError::Kind::socket, .code = -status});  // libuv's codes are errno's, negated
}

// The next bytes of a file, in memory and off the segment. False: there are none, and sending has failed.
bool Sender::read_piece(Segment& file, uv_buf_t& part) {
  std::vector<char>& piece = waiting_->piece;
  piece.resize(std::min<std::uint64_t>(file.size, file_piece_max));
  const ssize_t got = ::pread(file.file, piece.data(), piece.size(), file.offset);
  if (got <= 0) {
    fail_file(file, got == 0 ? 0 : errno);
    return false;
  }
  piece.resize(static_cast<std::size_t>(got));
  part = uv_buf_init(piece.data(), static_cast<unsigned>(got));
  file.offset += got;
  file.size -= static_cast<std::uint64_t>(got);
  return true;
}

void Sender::on_written(int status) noexcept {
  if (socket_.closing()) return;  // the destructor frees what waits
  try {
    if (status != 0) return fail({.kind = SendError::Kind::socket, .code = -status});
    if (!check_pace()) return;
    owner_.on_waiting();
    account_written();
    send_more();
  } catch (const std::bad_alloc&) {
    fail({.kind = SendError::Kind::memory});
  }
}

// The write under way has ended.
void Sender::account_written() {
  Waiting& waiting = *waiting_;
  for (; waiting.in_write != 0; --waiting.in_write) {
    Segment& segment = waiting.parts[waiting.first];
    std::uint64_t bytes;
    if (segment.data == nullptr) {
      bytes = waiting.piece.size();  // read_piece() took them off the segment
    } else {
      bytes = std::min<std::uint64_t>(segment.size, write_bytes_max);
      segment.data += bytes;
      segment.size -= bytes;
    }
    loop_.counters().bytes_sent(bytes);
    if (segment.counted) owner_.on_sent(bytes);
    if (segment.size != 0) continue;
    discard(segment);
    ++waiting.first;
  }
}

// The socket has room again.
void Sender::send_more() {
  Waiting& waiting = *waiting_;
  if (waiting.first != waiting.parts.size()) {
    Segment* const parts = waiting.parts.data();
    Segment* const next = send_now(parts + waiting.first, parts + waiting.parts.size());
    if (next == nullptr) return;
    waiting.first = static_cast<std::size_t>(next - parts);
  }
  if (waiting.first != waiting.parts.size()) return write_next();
  waiting_.reset();
  if (flush() && waiting_ == nullptr) owner_.on_all_sent();
}

// ---- is it taken? ----

void Sender::check_progress() {
  const std::uint64_t by_now = delivered();
  if (std::exchange(waiting_->delivered_at_last_look, by_now) == by_now) return fail({.kind = SendError::Kind::silent});
  if (check_pace()) owner_.on_waiting();  // slow, but not silent
}

// What has reached the client, but for a constant: differences count. What the kernel still holds moves long before it
// reports room for more.
std::uint64_t Sender::delivered() const noexcept {
  return waiting_->handed - socket_.unwritten() - socket_.unacknowledged();
}

// False: it is too slow, and sending has failed.
bool Sender::check_pace() {
  if (!waiting_->pace.too_slow(loop_.now(), delivered(), loop_.config().min_rate)) return true;
  fail({.kind = SendError::Kind::slow});
  return false;
}

// The file has become shorter than was promised, or cannot be read any more.
void Sender::fail_file(const Segment& file, int reason) {
  fail({.kind = SendError::Kind::file, .code = reason, .missing = file.size});
}

}  // namespace narwhal::worker
