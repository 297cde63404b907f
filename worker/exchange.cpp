#include "worker/exchange.hpp"

#include <new>
#include <utility>

#include "narwhal/text.hpp"
#include "worker/connection.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

namespace {

// A decoded head is handed to plugins as it is.
static_assert(sizeof(Field) == sizeof(narwhal_field) && offsetof(Field, value) == offsetof(narwhal_field, value));
static_assert(sizeof(Bytes) == sizeof(narwhal_bytes) && offsetof(Bytes, size) == offsetof(narwhal_bytes, size));

std::int64_t body_size_of(const Exchange& exchange) noexcept {
  const protocol::Head& head = exchange.head;
  if (!exchange.mount->streams_body() || head.framing == protocol::Framing::none) {
    return static_cast<std::int64_t>(exchange.body.size());
  }
  return head.framing == protocol::Framing::length ? static_cast<std::int64_t>(head.content_length) : -1;
}

}  // namespace

constinit thread_local Exchange* Exchange::running_ = nullptr;

Exchange::Exchange(Loop& loop) : response(*this), handover(loop.config().response_buffer_size), loop_(loop) {
  life.handle.store(reinterpret_cast<std::uintptr_t>(this) | one_use, std::memory_order_relaxed);
}

protocol::CgiRequest& Exchange::gateway() {
  if (gateway_ == nullptr) gateway_ = std::make_unique<protocol::CgiRequest>();
  return *gateway_;
}

void Exchange::join_prefix(std::string_view outer) {
  const std::string_view inner = mount->prefix;
  if (outer.empty() || inner.empty()) {
    prefix = outer.empty() ? inner : outer;
    return;
  }
  auto* const both = static_cast<char*>(arena.allocate(outer.size() + inner.size()));
  if (both == nullptr) throw std::bad_alloc();
  inner.copy(both + outer.copy(both, outer.size()), inner.size());
  prefix = {both, outer.size() + inner.size()};
}

int Exchange::run(unsigned member) noexcept {
  Running& record = loop_.slot().running[member];
  record.begin(head.method, head.target, mount->route, times.called);
  const AsHandler as_handler(*this);
  life.mount.store(mount, std::memory_order_relaxed);
  const int result = mount->plugin.handle(mount->instance, handle());
  record.end();
  return result;
}

void Exchange::fill_request() noexcept {
  const LocalAddress& local = loop_.acceptor().local_address(peer.listener);
  const std::chrono::nanoseconds limit = mount->timeout;
  const std::vector<Field>* const said = wire().is_http() ? nullptr : &gateway_->variables;
  // In place: every field is named, so that none can be of an earlier request.
  ::new (&request_) narwhal_request{
      .struct_size = sizeof request_,
      .method = bytes_of(head.method),
      .target = bytes_of(head.target),
      .path = bytes_of(head.path),
      .query = bytes_of(head.query),
      .prefix = bytes_of(said == nullptr ? std::string_view(mount->prefix) : prefix),
      .scheme = head.scheme.size != 0 ? bytes_of(head.scheme) : NARWHAL_LITERAL("http"),
      .authority = bytes_of(head.authority),
      .protocol = head.minor == 1 ? NARWHAL_LITERAL("HTTP/1.1") : NARWHAL_LITERAL("HTTP/1.0"),
      .peer = {peer.address, peer.text_size},
      .peer_port = peer.port,
      .reserved_0 = 0,
      .field_count = static_cast<std::uint32_t>(head.fields.size()),
      .fields = reinterpret_cast<const narwhal_field*>(head.fields.data()),
      .body_size = body_size_of(*this),
      .started_ns = started.time_since_epoch().count(),
      .deadline_ns = limit == limit.zero() ? 0 : (times.called + limit).time_since_epoch().count(),
      .client = bytes_of(client_address()),
      .listener = bytes_of(local.address),
      .listener_port = bytes_of(local.port),
      .variables = said == nullptr ? nullptr : reinterpret_cast<const narwhal_field*>(said->data()),
      .variable_count = said == nullptr ? 0 : static_cast<std::uint32_t>(said->size()),
      .reserved_1 = 0,
  };
}

void Exchange::reset() noexcept {
  static_cast<RequestState&>(*this) = {};
  head.fields.clear();  // decode_head() gives every other member a value of its own
  body.clear();
  inbox.reset();
  response.reset();
  handover.reset();
  times = {};
  client_wait.reset();
  arena.clear();
  gone_.store(false, std::memory_order_relaxed);
}

void Exchange::set_gone() noexcept {
  connection = nullptr;
  gone_.store(true, std::memory_order_release);
  handover.close();
  inbox.close();
}

// ---- between the threads ----

// Inside handle() the loop finds out when it returns.
void Exchange::end_response() noexcept {
  if (!on_handler_thread()) {
    end_use();
    return hand_over(Push::now, Handover::Reached::end);
  }
  ended_in_handler = true;
}

void Exchange::hand_over(Push push, Handover::Reached reached) noexcept {
  using Reached = Handover::Reached;
  Loop& loop = loop_;  // this exchange may be recycled as soon as the loop knows of its end
  const Instant now = narwhal::now();
  if (on_handler_thread()) times.reach_loop(now);
  const bool direct = on_handler_thread() && loop.crew().reclaim();
  std::atomic<bool>* const mark = direct ? nullptr : &posted;
  handed_over = true;
  Handover::Put put = handover.put(response.bytes(), reached, mark);
  if (put == Handover::Put::no_memory) {
    response.cut_off();
    put = handover.put(response.bytes(), reached == Reached::end ? Reached::end : Reached::interim, mark);
  }
  if (put == Handover::Put::to_post) return loop.posts().post_marked(*this);
  if (!direct) return;
  const bool overdue = loop.overdue(times.called, now);
  if (connection != nullptr) connection->take_answer(*this, push);
  loop.crew().release();
  // A handler that writes and writes is never seen at one thing for long enough to lose the loop.
  if (overdue && !mount->is_inline()) loop.crew().tend_in_passing();
}

Handover::Taken Exchange::take_handover(std::vector<Segment>& segments) {
  gathered = false;
  if (!returned || deferred) return handover.take(segments);
  return handover.take_all(segments, response.bytes(), response.reached());  // its thread does not touch them any more
}

bool Exchange::drop_handover() noexcept { return handover.drop() || (returned && !deferred); }

bool Exchange::finds_room() noexcept { return mount->plugin.writable != nullptr && handover.ask_for_room(); }

void Exchange::yield_to_loop() {
  if (!on_handler_thread()) return;
  const Instant now = narwhal::now();
  times.reach_loop(now);
  if (mount->is_inline() || !loop_.crew().reclaim()) return;
  const bool overdue = loop_.overdue(times.called, now);
  loop_.crew().release();
  if (overdue) loop_.crew().tend_in_passing();
}

// Only the handler's own thread counts: what the writer of a deferred exchange does keeps nobody waiting.
void Exchange::begin_wait() noexcept {
  const Instant now = narwhal::now();
  if (on_handler_thread()) times.reach_loop(now);
  client_wait.begin(now);
}

void Exchange::end_wait() noexcept {
  const Instant now = narwhal::now();
  if (on_handler_thread()) times.reach_loop_after_wait(now);
  client_wait.end(now);
}

}  // namespace narwhal::worker
