// Client: one client in the middle of its request. Worker::begin() gives it.
// Ownership  it moves and has one owner. When it is destroyed before its answer is complete, the client leaves.
// Threads    the test's, which plays the event loop: the plugin's cancel(), writable(), stuck() and slow() are called on it.
// Errors     a wait that takes longer than Settings::patience is a breach.
#pragma once

#include <narwhal/testing/requests.hpp>

namespace narwhal::testing {

class Client {
 public:
  explicit Client(std::shared_ptr<detail::Exchange> exchange) noexcept : exchange_(std::move(exchange)) {}
  Client(Client&&) noexcept = default;
  Client& operator=(Client&& other) noexcept {
    if (this != &other) {
      leave();
      exchange_ = std::move(other.exchange_);
    }
    return *this;
  }
  ~Client() { leave(); }

  // Waits for the whole answer and for handle() to return; after a deadline for the answer alone.
  Answer answer() {
    if (!wait_until(exchange_->site->settings.patience, [this] { return is_over(); })) {
      const detail::Lock lock(exchange_->mutex);
      exchange_->site->breach(exchange_->deferred
                                  ? "deferred " + exchange_->name + " and has not ended it in time"
                                  : "has not returned from handle() for " + exchange_->name + " in time");
    }
    return so_far();
  }
  // What the client has got by now.
  Answer so_far() const {
    const detail::Lock lock(exchange_->mutex);
    return detail::answer_so_far(*exchange_);
  }
  // False: it has taken longer than `limit`. That the client has so many bytes of the body; that it has the whole
  // answer, which may be before handle() returns (flush()); that handle() has returned.
  bool wait_for_body(std::size_t bytes, std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    return wait_until(limit, [&] { return detail::answer_so_far(*exchange_).body.size() >= bytes; });
  }
  bool wait_for_end(std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    return wait_until(limit, [this] { return client_is_done(); });
  }
  bool wait_for_return(std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    return wait_until(limit, [this] { return exchange_->returned; });
  }

  // ---- what the client does ----
  // It closes its connection. The plugin's cancel() is called if the exchange is deferred: to be sure that it is, call
  // wait_for_return() first.
  void leave() {
    if (exchange_ != nullptr) detail::leave(exchange_);
  }
  // More of the body of a request with body_follows.
  void send_body(std::string_view bytes) {
    const detail::Lock lock(exchange_->mutex);
    exchange_->arrived += bytes;
    exchange_->changed.notify_all();
  }
  void end_body() {
    const detail::Lock lock(exchange_->mutex);
    exchange_->body_ended = true;
    exchange_->changed.notify_all();
  }
  // It takes nothing more, so that writes wait, or get NARWHAL_AGAIN, as soon as Settings::response_buffer is full.
  void stop_reading() {
    const detail::Lock lock(exchange_->mutex);
    exchange_->takes_bytes = false;
    exchange_->bytes_taken = exchange_->answer.body.size();
  }
  // The plugin's writable() is called, if a call has got NARWHAL_AGAIN.
  void read_on() { detail::read_on(exchange_); }

  // ---- what the server does to it ----
  // The deadline passes: 504 in the plugin's place, or a cut; stuck() while it is in handle(), cancel() if it is deferred.
  // A deferred answer that has begun has no deadline.
  void pass_deadline() { detail::pass_deadline(exchange_); }
  // The setting soft_timeout passes: slow(), while it is in handle().
  void pass_soft_timeout() { detail::pass_soft_timeout(exchange_); }

  // For a test that calls the host itself.
  narwhal_exchange* handle() const noexcept { return exchange_->handle; }

 private:
  bool client_is_done() const {
    return exchange_->host_answer.timed_out || exchange_->answer.client_left || (exchange_->ended && exchange_->shown);
  }
  bool is_over() const { return client_is_done() && (exchange_->host_answer.timed_out || exchange_->returned); }

  // The condition is looked at with the mutex held.
  template <class Condition>
  bool wait_until(std::chrono::milliseconds limit, Condition condition) {
    const auto until = detail::Clock::now() + limit;
    while (true) {
      {
        detail::Lock lock(exchange_->mutex);
        if (exchange_->changed.wait_for(lock, std::chrono::milliseconds(5), condition)) break;
      }
      detail::make_posted_calls(exchange_->site);
      detail::look_after(exchange_);
      if (detail::Clock::now() >= until) return false;
    }
    detail::look_after(exchange_);
    return true;
  }

  std::shared_ptr<detail::Exchange> exchange_;
};

}  // namespace narwhal::testing
