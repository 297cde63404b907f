// Deferred: the duty to answer a request later. Its holder ends the exchange, once, from any thread.
// Ownership  it moves and has one owner. Destroyed without an answer, it answers 500, or cuts off what was begun.
//            Arguments are copied before a call returns; respond() takes its Response.
// Errors     as a Sent. Nothing throws except for lack of memory. After the client has gone, each call returns
//            Sent::gone and does nothing.
// Threads    any, one at a time.
// Units      sizes are in bytes.
#pragma once

#include <narwhal/callable.hpp>
#include <narwhal/log.hpp>
#include <narwhal/request.hpp>

#include <cstdint>
#include <exception>
#include <string_view>
#include <utility>

namespace narwhal {

class Response;

enum class Sent : int {
  ok = NARWHAL_OK,
  error = NARWHAL_ERROR,
  gone = NARWHAL_GONE,
  again = NARWHAL_AGAIN,      // nothing was taken: the call would have to wait for the client
  state = NARWHAL_STATE,      // this call is not allowed now, or more bytes came than were declared
  refused = NARWHAL_REFUSED,  // a status, name or value that may not go on the wire
};

namespace detail {

// While a deferred callable runs: if it throws, and its Deferred with it, the exchange is left to whoever catches.
struct Unwinding {
  narwhal_exchange* exchange;
  int exceptions = std::uncaught_exceptions();
  bool left = false;      // the exchange is still to be answered
  bool has_head = false;  // and the head of its response has been sent
};
NARWHAL_OF_THIS_PLUGIN inline thread_local Unwinding* unwinding = nullptr;

}  // namespace detail

class Deferred {
 public:
  static constexpr std::string_view dropped = "a deferred request was dropped without an answer";

  Deferred(const narwhal_host* host, narwhal_exchange* exchange) noexcept : host_(host), exchange_(exchange) {}
  Deferred(Deferred&& other) noexcept
      : host_(other.host_),
        exchange_(std::exchange(other.exchange_, nullptr)),
        ended_(other.ended_),
        started_(other.started_),
        has_callback_(other.has_callback_) {}
  Deferred& operator=(Deferred&& other) noexcept {
    Deferred moved(std::move(other));
    std::swap(host_, moved.host_);
    std::swap(exchange_, moved.exchange_);
    std::swap(ended_, moved.ended_);
    std::swap(started_, moved.started_);
    std::swap(has_callback_, moved.has_callback_);
    return *this;
  }
  ~Deferred() {
    if (*this && !left_to_catcher()) fail(500, dropped);
  }

  // False after it was ended or moved from. Then gone() is true, and every call returns Sent::state.
  explicit operator bool() const noexcept { return exchange_ != nullptr && !ended_; }
  // Without the parameters of a router's pattern, which the handler takes.
  Request request() const noexcept { return {host_, exchange_}; }
  bool gone() const noexcept { return !*this || host_->gone(exchange_) != 0; }
  // `callback` is called at most once, when the client has gone or the deadline has passed. It runs on the event loop's
  // thread and must not block; it may run while another thread ends this Deferred. The holder must still end it.
  void on_cancel(Callable<void()> callback);
  // `callback` is called after a try_write() has returned Sent::again, each time that the client has taken so much that
  // there is room again. Set it before the first try_write(). It runs where on_cancel()'s does and under the same rules,
  // and until it returns it may outlive this Deferred, which another thread ends.
  void on_writable(Callable<void()> callback);

  // The whole answer. Ends it, whatever is returned.
  Sent respond(Response response);
  // Answers with the exception that is being handled as if the app had thrown it; only inside a catch block. Ends it.
  Sent respond_exception() noexcept;
  // The head now, the body later: `size` bytes, or -1 when that is not known yet.
  Sent start(const Response& head, std::int64_t size = -1);
  // Waits while the client is slow.
  Sent write(std::string_view piece) { return write(piece, 0); }
  // The same without a copy, which pays from a few KiB on: the server frees the string, or leaves the bytes alone.
  Sent write_owned(std::string piece);
  Sent write(Forever piece);
  // Never waits: Sent::again, and nothing is taken, while the client is too slow; on_writable() says when to go on.
  Sent try_write(std::string_view piece) { return write(piece, NARWHAL_NOWAIT); }
  // A field after the body, between start() and finish(); see Writer::trailer().
  Sent trailer(std::string_view name, std::string_view value) noexcept;
  // The body is complete. Ends it.
  Sent finish();
  // Answers with this status (400 to 599), or cuts the response off when its head is out. The reason is logged. Ends
  // it.
  Sent fail(int status, std::string_view reason);

 private:
  Sent write(std::string_view piece, std::uint32_t flags) {
    return static_cast<Sent>(host_->write(exchange_, bytes_of(piece), flags));
  }
  void drop_callbacks() noexcept;
  narwhal_exchange* end() noexcept;  // gives up the exchange, and the callbacks with it
  Sent answered_again() noexcept;
  bool left_to_catcher() noexcept {
    detail::Unwinding* const now = detail::unwinding;
    if (now == nullptr || now->exchange != exchange_ || std::uncaught_exceptions() <= now->exceptions) return false;
    now->has_head = started_;
    now->left = true;
    end();
    return true;
  }

  const narwhal_host* host_;
  narwhal_exchange* exchange_;  // kept after the end: by it the server names the plugin of a late call
  bool ended_ = false;
  bool started_ = false;
  bool has_callback_ = false;  // on_cancel() or on_writable() was called
};

}  // namespace narwhal
