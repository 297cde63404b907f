#include "worker/exchange.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "worker/connection.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

namespace {

thread_local Exchange* running = nullptr;  // whose handle() this thread is in

// A decoded head is handed to plugins as it is.
static_assert(sizeof(Field) == sizeof(narwhal_field) && offsetof(Field, value) == offsetof(narwhal_field, value));
static_assert(sizeof(Bytes) == sizeof(narwhal_bytes) && offsetof(Bytes, size) == offsetof(narwhal_bytes, size));
const Field* fields_of(const narwhal_response& response) { return reinterpret_cast<const Field*>(response.fields); }

narwhal_bytes abi(Bytes bytes) noexcept { return {bytes.data, bytes.size}; }

void free_memory(void* memory) { std::free(memory); }

Segment copy_of(std::string_view bytes) {
  char* copy = static_cast<char*>(std::malloc(bytes.size()));
  if (copy == nullptr) throw std::bad_alloc();
  std::memcpy(copy, bytes.data(), bytes.size());
  return {.data = copy, .size = bytes.size(), .release = free_memory, .release_arg = copy};
}

}  // namespace

void discard(Segment& segment) noexcept {
  if (segment.release != nullptr) segment.release(segment.release_arg);
  if (segment.file >= 0) ::close(segment.file);
  segment = {};
}

bool Exchange::on_handler_thread() const noexcept { return running == this; }

int Exchange::run(unsigned member) noexcept {
  Running& record = loop_.slot().running[member];
  fill_request();
  record.begin(head.method, head.target, mount->route, handled_ns);
  running = this;
  const int result = mount->plugin.handle(mount->instance, handle_of(*this));
  running = nullptr;
  record.end();
  return result;
}

void Exchange::fill_request() {
  request_.struct_size = sizeof request_;
  request_.method = abi(head.method);
  request_.target = abi(head.target);
  request_.path = abi(head.path);
  request_.query = abi(head.query);
  request_.prefix = {mount->prefix.data(), mount->prefix.size()};
  request_.scheme = head.scheme.size != 0 ? abi(head.scheme) : NARWHAL_LITERAL("http");
  request_.authority = abi(head.authority);
  request_.protocol = head.minor == 1 ? NARWHAL_LITERAL("HTTP/1.1") : NARWHAL_LITERAL("HTTP/1.0");
  request_.peer = {peer.address, peer.text_size};
  request_.peer_port = peer.port;
  request_.field_count = static_cast<std::uint32_t>(head.fields.size());
  request_.fields = reinterpret_cast<const narwhal_field*>(head.fields.data());
  request_.body_size = static_cast<std::int64_t>(body.size());
  if (mount->streams_body() && head.framing != protocol::Framing::none) {
    request_.body_size =
        head.framing == protocol::Framing::length ? static_cast<std::int64_t>(head.content_length) : -1;
  }
  request_.started_ns = static_cast<std::int64_t>(started_ns);
  const std::uint64_t limit = static_cast<std::uint64_t>(loop_.config().timeout.count()) * 1'000'000'000u;
  request_.deadline_ns = limit == 0 ? 0 : static_cast<std::int64_t>(handled_ns + limit);
}

// ---- the request's body ----

int Exchange::whole_body(narwhal_bytes& out_view) {
  out_view = {nullptr, 0};
  if (mount->streams_body()) return NARWHAL_STATE;
  Result<std::string_view> view = body.view();
  if (!view) {
    log::error("{} {}: {}", head.method.view(), head.target.view(), view.error());
    return NARWHAL_ERROR;
  }
  out_view = {view->data(), view->size()};
  return NARWHAL_OK;
}

std::int64_t Exchange::read_body(char* buffer, std::size_t size) {
  if (!mount->streams_body()) {
    const std::int64_t got = body.read(buffer, size);
    return got < 0 ? NARWHAL_ERROR : got;
  }
  std::unique_lock lock(mutex_);
  if (inbox_read_ == inbox_.size() && !inbox_ended_ && !gone()) {
    if (mount->is_inline()) return NARWHAL_AGAIN;
    lock.unlock();
    loop_.crew().before_waiting();
    lock.lock();
    client_wait.begin(now_ns());
    changed_.wait(lock, [this] { return inbox_read_ != inbox_.size() || inbox_ended_ || gone(); });
    client_wait.end(now_ns());
  }
  if (inbox_read_ == inbox_.size()) return inbox_ended_ ? 0 : NARWHAL_GONE;
  const std::size_t count = std::min(size, inbox_.size() - inbox_read_);
  std::memcpy(buffer, inbox_.data() + inbox_read_, count);
  inbox_read_ += count;
  if (inbox_read_ == inbox_.size()) {
    inbox_.clear();
    inbox_read_ = 0;
    lock.unlock();
    loop_.post(*this);  // the loop may have stopped reading the socket
  }
  return static_cast<std::int64_t>(count);
}

void Exchange::feed_body(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  inbox_.append(bytes);
  changed_.notify_all();
}

void Exchange::end_body() {
  const std::lock_guard lock(mutex_);
  inbox_ended_ = true;
  changed_.notify_all();
}

bool Exchange::body_full() {
  const std::lock_guard lock(mutex_);
  return inbox_.size() - inbox_read_ >= loop_.config().body_buffer_size;
}

// ---- the answer ----

bool Exchange::reserve(std::size_t bytes) {
  if (out != nullptr && out->room() >= bytes) return true;
  if (out != nullptr) return false;
  // On a thread without the baton the pool is out of reach.
  out = BufferPool::make(std::max<std::size_t>(bytes, 1024));
  return true;
}

void Exchange::append_segment(Segment segment) { segments_.push_back(segment); }

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

// Checks and writes the head; body_size < 0: not known.
int Exchange::begin_answer(const narwhal_response& response, std::int64_t body_size) {
  using Length = protocol::ResponseHead::Length;
  if (answer_ != Answer::none) return NARWHAL_STATE;
  const int status = response.status;
  if (status < 200 || status > 599) return NARWHAL_REFUSED;
  if (protocol::check_response(status, fields_of(response), response.field_count) != nullptr) return NARWHAL_REFUSED;

  protocol::ResponseHead out_head;
  out_head.status = status;
  out_head.fields = fields_of(response);
  out_head.field_count = response.field_count;
  out_head.minor = head.minor;
  out_head.date = loop_.date();
  out_head.server = loop_.config().server_header;
  bodyless_ = head.is_head || status == 204 || status == 304;
  if (body_size >= 0) {
    framing_ = status == 204 || status == 304 ? Length::absent : Length::known;
    left_ = static_cast<std::uint64_t>(body_size);
    out_head.content_length = left_;
  } else if (bodyless_) {
    framing_ = Length::absent;
  } else {
    framing_ = head.minor == 1 ? Length::chunked : Length::until_close;
  }
  out_head.length = framing_;
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

int Exchange::respond(const narwhal_response& response) {
  const std::string_view bytes(response.body.data, response.body.size);
  const bool lent = NARWHAL_HAS(&response, narwhal_response, release_arg) && response.release != nullptr;
  int result = gone() ? NARWHAL_GONE : begin_answer(response, static_cast<std::int64_t>(bytes.size()));
  if (result == NARWHAL_OK) {
    left_ = 0;
    if (!bodyless_) {
      body_sent_ = bytes.size();
      if (bytes.size() <= out->room() && bytes.size() <= BufferPool::usual_capacity) {
        append(bytes);
      } else if (lent) {
        append_segment({.data = bytes.data(),
                        .size = bytes.size(),
                        .release = response.release,
                        .release_arg = response.release_arg});
        answer_ = Answer::finished;
        end_answer();
        return NARWHAL_OK;  // released when it is sent
      } else {
        append_segment(copy_of(bytes));
      }
    }
    answer_ = Answer::finished;
  }
  if (lent) response.release(response.release_arg);
  if (result == NARWHAL_OK || result == NARWHAL_GONE) end_answer();
  return result;
}

int Exchange::start(const narwhal_response& response) {
  if (gone()) return NARWHAL_GONE;
  const int result = begin_answer(response, response.body_size);
  if (result != NARWHAL_OK) return result;
  hand_over(Push::hold, Last::no);
  return NARWHAL_OK;
}

int Exchange::write(std::string_view bytes, bool may_wait) {
  using Length = protocol::ResponseHead::Length;
  if (gone()) return NARWHAL_GONE;
  if (answer_ != Answer::started) return NARWHAL_STATE;
  if (framing_ == Length::known && bytes.size() > left_) return NARWHAL_STATE;
  if (const int waited = wait_for_room(may_wait); waited != NARWHAL_OK) return waited;
  left_ -= framing_ == Length::known ? bytes.size() : 0;
  if (bodyless_ || bytes.empty()) return NARWHAL_OK;
  body_sent_ += bytes.size();
  if (framing_ == Length::chunked) {
    char line[protocol::chunk_line_bytes_max];
    const std::size_t size = protocol::encode_chunk_line(bytes.size(), line);
    reserve(size + bytes.size() + 2);
    append({line, size});
    append(bytes);
    append("\r\n");
  } else {
    append(bytes);
  }
  hand_over(Push::now, Last::no);
  return NARWHAL_OK;
}

int Exchange::send_file(int fd, std::int64_t offset, std::int64_t length) {
  using Length = protocol::ResponseHead::Length;
  if (gone()) return NARWHAL_GONE;
  if (answer_ != Answer::started || length < 0 || offset < 0) return NARWHAL_STATE;
  const auto size = static_cast<std::uint64_t>(length);
  if (framing_ == Length::known && size > left_) return NARWHAL_STATE;
  if (const int waited = wait_for_room(!mount->is_inline()); waited == NARWHAL_GONE) return waited;
  left_ -= framing_ == Length::known ? size : 0;
  if (bodyless_ || size == 0) return NARWHAL_OK;
  const int own = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) {
    log::error("{} {}: duplicate the descriptor of a file to send: {}", head.method.view(), head.target.view(),
               std::strerror(errno));
    return NARWHAL_ERROR;
  }
  body_sent_ += size;
  if (framing_ == Length::chunked) {
    char line[protocol::chunk_line_bytes_max];
    append({line, protocol::encode_chunk_line(size, line)});
  }
  append_segment({.size = size, .file = own, .offset = offset});
  if (framing_ == Length::chunked) append("\r\n");
  hand_over(Push::now, Last::no);
  return NARWHAL_OK;
}

int Exchange::finish() {
  using Length = protocol::ResponseHead::Length;
  if (gone()) {
    end_answer();
    return NARWHAL_GONE;
  }
  if (answer_ != Answer::started) return NARWHAL_STATE;
  answer_ = Answer::finished;
  if (framing_ == Length::chunked && !bodyless_) append("0\r\n\r\n");
  const bool short_of_length = framing_ == Length::known && left_ != 0 && !bodyless_;
  if (short_of_length) {
    cut_ = true;
    log::error("{} {}: the response is {} bytes short of its declared length: connection closed", head.method.view(),
               head.target.view(), left_);
  }
  end_answer();
  return short_of_length ? NARWHAL_STATE : NARWHAL_OK;
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
  const std::string text = std::string(protocol::reason_phrase(status)) + "\n";
  const narwhal_field type = {NARWHAL_LITERAL("Content-Type"), NARWHAL_LITERAL("text/plain")};
  narwhal_response response{};
  response.struct_size = sizeof response;
  response.status = status;
  response.fields = &type;
  response.field_count = 1;
  response.body = {text.data(), text.size()};
  return respond(response);
}

void Exchange::end_for_handler(int result) {
  if (finished_in_handler_ || answer_ == Answer::finished || gone()) return;
  running = this;  // what follows is the handler's own doing: nothing is posted
  if (answer_ == Answer::none) {
    fail(500, result == NARWHAL_OK ? "the handler returned without an answer" : "the handler failed");
  } else if (result != NARWHAL_OK || framing_ == protocol::ResponseHead::Length::known) {
    if (result != NARWHAL_OK) {
      fail(500, "the handler failed after the head was sent: the response is cut off");
    } else {
      finish();
    }
  } else {
    finish();
  }
  running = nullptr;
}

void Exchange::answer_refusal() {
  const std::string_view text = refusal == 404 ? "Not Found\n" : "Service Unavailable: too many requests are waiting\n";
  const narwhal_field fields[] = {{NARWHAL_LITERAL("Content-Type"), NARWHAL_LITERAL("text/plain")},
                                  {NARWHAL_LITERAL("Retry-After"), NARWHAL_LITERAL("1")}};
  narwhal_response response{};
  response.struct_size = sizeof response;
  response.status = refusal;
  response.fields = fields;
  response.field_count = refusal == 503 ? 2 : 1;
  response.body = {text.data(), text.size()};
  running = this;  // nothing is posted: the loop itself is here
  respond(response);
  running = nullptr;
  returned = true;
}

void Exchange::reset() noexcept {
  for (Segment& segment : segments_) discard(segment);
  for (Segment& segment : handover_) discard(segment);
  segments_.clear();
  handover_.clear();
  handover_ended_ = false;
  body.clear();
  arena.clear();
  head.fields.clear();
  connection = nullptr;
  mount = nullptr;
  refusal = 0;
  user = nullptr;
  answer_ = Answer::none;
  queued = handled = returned = deferred = ended = timed_out = retired = false;
  bodyless_ = cut_ = handed_over_ = finished_in_handler_ = false;
  status_ = 0;
  left_ = body_sent_ = handled_ns = 0;
  response_head_ = {};
  gone_.store(false, std::memory_order_relaxed);
  unsent_.store(0, std::memory_order_relaxed);
  client_wait.reset();
  inbox_.clear();
  inbox_read_ = 0;
  inbox_ended_ = true;
}

}  // namespace narwhal::worker
