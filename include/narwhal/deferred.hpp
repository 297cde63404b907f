// Deferred: the duty to answer a request later. Whoever holds it ends the exchange, once, from any thread.
// Life     it moves; dropped without an answer, it answers 500 (or cuts off what was begun).
//          Safe when the client is gone: the calls then say Sent::gone and do nothing.
// Threads  any, one at a time.
#pragma once

#include <narwhal/request.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

namespace narwhal {

class Response;

enum class Sent : int {
  ok = NARWHAL_OK,
  error = NARWHAL_ERROR,
  gone = NARWHAL_GONE,
  again = NARWHAL_AGAIN,      // nothing was taken; the client is slow
  state = NARWHAL_STATE,      // not now, or more than was declared
  refused = NARWHAL_REFUSED,  // a status, name or value that may not go on the wire
};

class Deferred {
 public:
  Deferred(const narwhal_host* host, narwhal_exchange* exchange) noexcept : host_(host), exchange_(exchange) {}
  Deferred(Deferred&& other) noexcept
      : host_(other.host_), exchange_(std::exchange(other.exchange_, nullptr)), started_(other.started_) {}
  Deferred& operator=(Deferred&& other) noexcept {
    Deferred moved(std::move(other));
    std::swap(host_, moved.host_);
    std::swap(exchange_, moved.exchange_);
    std::swap(started_, moved.started_);
    return *this;
  }
  ~Deferred() {
    if (exchange_ != nullptr) fail(500, gone() ? "" : "a deferred request was dropped without an answer");
  }

  // False once it was ended or moved from; nothing else may be called then.
  explicit operator bool() const noexcept { return exchange_ != nullptr; }
  Request request() const noexcept { return {host_, exchange_}; }
  bool gone() const noexcept { return host_->gone(exchange_) != 0; }
  // `told` is called on the event loop, so it must not block, when the client has gone or the deadline has
  // passed; maybe at the same time as this Deferred ends elsewhere. Ending it remains the holder's duty.
  void on_cancel(std::function<void()> told);

  // The whole answer. Ends it, whatever is returned.
  Sent respond(Response response);
  // Head now, body later: `size` bytes, or -1 when that is not known.
  Sent start(const Response& head, std::int64_t size = -1);
  // Waits while the client is slow.
  Sent write(std::string_view piece) { return write(piece, 0); }
  // Never waits: Sent::again when the client is too slow to take it now.
  Sent try_write(std::string_view piece) { return write(piece, NARWHAL_NOWAIT); }
  // A field behind the body, between start() and finish(); see Writer::trailer().
  Sent trailer(std::string_view name, std::string_view value) noexcept;
  // The body is complete. Ends it.
  Sent finish();
  // Ends it with an error of this status, or cut off visibly when the head is out.
  Sent fail(int status, std::string_view reason);

 private:
  Sent write(std::string_view piece, std::uint32_t flags) {
    return static_cast<Sent>(host_->write(exchange_, bytes_of(piece), flags));
  }
  narwhal_exchange* end() noexcept;  // lets go of it

  const narwhal_host* host_;
  narwhal_exchange* exchange_;
  bool started_ = false;
};

}  // namespace narwhal
