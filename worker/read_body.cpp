#include "worker/read_body.hpp"

#include "core/log.hpp"
#include "worker/connection.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

namespace {

// The loop, for a moment, where this thread is in the exchange's handler and holds the baton.
class LoopInHand {
 public:
  explicit LoopInHand(Exchange& exchange) noexcept
      : crew_(exchange.loop().crew()), held_(exchange.on_handler_thread() && crew_.reclaim()) {}
  LoopInHand(const LoopInHand&) = delete;
  LoopInHand& operator=(const LoopInHand&) = delete;
  ~LoopInHand() {
    if (held_) crew_.release();
  }
  explicit operator bool() const noexcept { return held_; }

 private:
  Crew& crew_;
  const bool held_;
};

// What the socket has of the body, without a copy; 0: nothing, or the loop is not in hand.
std::size_t read_socket(Exchange& exchange, char* buffer, std::size_t size) {
  const LoopInHand loop(exchange);
  return loop && exchange.connection != nullptr ? exchange.connection->read_body_into(buffer, size) : 0;
}

void resume_reading(Exchange& exchange) {
  const LoopInHand loop(exchange);
  if (!loop) return exchange.loop().posts().post(exchange);
  if (exchange.connection != nullptr) exchange.connection->resume_body();
}

void wait_for_more(Exchange& exchange) {
  exchange.begin_wait();
  if (!exchange.loop().crew().tend_until([&] { return exchange.inbox.readable(); })) exchange.inbox.wait();
  exchange.end_wait();
}

std::int64_t read_stream(Exchange& exchange, char* buffer, std::size_t size) {
  using Result = Inbox::Read::Result;
  exchange.yield_to_loop();
  Inbox::Read read = exchange.inbox.read(buffer, size);
  if (read.result == Result::nothing_yet) {
    if (exchange.mount->is_inline()) return NARWHAL_AGAIN;
    if (const std::size_t got = read_socket(exchange, buffer, size); got != 0) return static_cast<std::int64_t>(got);
    wait_for_more(exchange);
    read = exchange.inbox.read(buffer, size);
  }
  if (read.result == Result::ended) return 0;
  if (read.result != Result::bytes) return NARWHAL_GONE;
  if (read.has_stopped) resume_reading(exchange);
  return static_cast<std::int64_t>(read.size);
}

}  // namespace

int whole_body(Exchange& exchange, narwhal_bytes& out) {
  out = {nullptr, 0};
  if (exchange.mount->streams_body()) return NARWHAL_STATE;  // no line: this is how to find out
  const Result<std::string_view> view = exchange.body.view();
  if (!view) {
    log::error("{} {}: {}", exchange.head.method.view(), exchange.head.target.view(), view.error());
    return NARWHAL_ERROR;
  }
  out = {view->data(), view->size()};
  return NARWHAL_OK;
}

std::int64_t read_body(Exchange& exchange, char* buffer, std::size_t size) {
  if (exchange.mount->streams_body()) return read_stream(exchange, buffer, size);
  const std::int64_t got = exchange.body.read(buffer, size);
  return got < 0 ? NARWHAL_ERROR : got;
}

}  // namespace narwhal::worker
