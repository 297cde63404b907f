#include "worker/exchange.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "worker/connection.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

namespace {

// A decoded head is handed to plugins as it is.
static_assert(sizeof(Field) == sizeof(narwhal_field) && offsetof(Field, value) == offsetof(narwhal_field, value));
static_assert(sizeof(Bytes) == sizeof(narwhal_bytes) && offsetof(Bytes, size) == offsetof(narwhal_bytes, size));

narwhal_bytes abi(Bytes bytes) noexcept { return {bytes.data, bytes.size}; }

}  // namespace

void discard(Segment& segment) noexcept {
  if (segment.release != nullptr) segment.release(segment.release_arg);
  if (segment.file >= 0) ::close(segment.file);
  segment = {};
}

constinit thread_local Exchange* Exchange::running_ = nullptr;

bool Exchange::on_handler_thread() const noexcept { return running_ == this; }

int Exchange::run(unsigned member) noexcept {
  Running& record = loop_.slot().running[member];
  record.begin(head.method, head.target, mount->route, handler_called);
  running_ = this;
  const int result = mount->plugin.handle(mount->instance, handle_of(*this));
  running_ = nullptr;
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
  request_.client = abi(client_address());
  const LocalAddress& local = loop_.acceptor().local_address(peer.listener);
  request_.listener = {local.address.data(), local.address.size()};
  request_.listener_port = {local.port.data(), local.port.size()};
  request_.field_count = static_cast<std::uint32_t>(head.fields.size());
  request_.fields = reinterpret_cast<const narwhal_field*>(head.fields.data());
  request_.body_size = static_cast<std::int64_t>(body.size());
  if (mount->streams_body() && head.framing != protocol::Framing::none) {
    request_.body_size =
        head.framing == protocol::Framing::length ? static_cast<std::int64_t>(head.content_length) : -1;
  }
  request_.started_ns = started.time_since_epoch().count();
  const std::chrono::seconds limit = loop_.config().timeout;
  request_.deadline_ns = limit == limit.zero() ? 0 : (handler_called + limit).time_since_epoch().count();
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
  come_by();
  std::unique_lock lock(mutex_);
  if (inbox_read_ == inbox_.size() && !inbox_ended_ && !gone()) {
    if (mount->is_inline()) return NARWHAL_AGAIN;
    lock.unlock();
    if (const std::size_t got = read_straight(buffer, size); got != 0) return static_cast<std::int64_t>(got);
    wait_for_body();
    lock.lock();
  }
  if (inbox_read_ == inbox_.size()) return inbox_ended_ ? 0 : NARWHAL_GONE;
  const std::size_t count = std::min(size, inbox_.size() - inbox_read_);
  std::memcpy(buffer, inbox_.data() + inbox_read_, count);
  inbox_read_ += count;
  if (inbox_read_ == inbox_.size()) {
    inbox_.clear();
    inbox_read_ = 0;
    const bool loop_has_stopped_reading = std::exchange(inbox_full_, false);
    lock.unlock();
    if (loop_has_stopped_reading) ask_for_more_body();
  }
  return static_cast<std::int64_t>(count);
}

void Exchange::wait_for_body() {
  const auto has_come = [this] { return inbox_read_ != inbox_.size() || inbox_ended_ || gone(); };
  const auto has_come_locked = [&] {
    const std::lock_guard lock(mutex_);
    return has_come();
  };
  begin_wait();
  if (!loop_.crew().tend_until(has_come_locked)) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, has_come);
  }
  end_wait();
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
  inbox_full_ = inbox_.size() - inbox_read_ >= loop_.config().body_buffer_size;
  return inbox_full_;
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
  client = {};
  user = nullptr;
  answer_ = Answer::none;
  queued = handled = returned = deferred = ended = timed_out = retired = false;
  bodyless_ = cut_ = handed_over_ = finished_in_handler_ = false;
  status_ = 0;
  left_ = body_sent_ = 0;
  handler_called = handler_returned = spoke_ = pushed_ = unset;
  longest_stretch_ = longest_stretch_.zero();
  gathered = false;
  response_head_ = {};
  if (!trailers_.empty()) trailers_.clear();
  head_handed_over_ = false;
  gone_.store(false, std::memory_order_relaxed);
  unsent_.store(0, std::memory_order_relaxed);
  client_wait.reset();
  inbox_.clear();
  inbox_read_ = 0;
  inbox_ended_ = true;
  inbox_full_ = false;
}

}  // namespace narwhal::worker
