// Posts: exchanges in which another thread has something for the loop: a part of the answer, its end, or room for more of
// the body. The queue wakes the loop.
// Ownership  it owns no exchange. One that is in it must not go back to its pool: see Exchange::posted.
// Errors     none: the links lie in the exchanges, so adding needs no memory.
// Threads    post(), post_marked() and wake(): any. The rest: the holder of the baton.
#pragma once

#include <uv.h>

#include <atomic>
#include <mutex>

#include "worker/exchange.hpp"
#include "worker/list.hpp"

namespace narwhal::worker {

class Posts {
 public:
  using Queue = List<Exchange, &Exchange::next_posted>;

  void open(uv_loop_t* loop) noexcept;

  void post(Exchange& exchange) noexcept {
    if (!exchange.posted.exchange(true, std::memory_order_acq_rel)) post_marked(exchange);
  }
  void post_marked(Exchange& exchange) noexcept;  // `posted` was set by the caller
  void wake() noexcept { uv_async_send(&wakeup_); }

  // All that has been posted, in order. `posted` is still set in each: clear it before looking at the exchange.
  Queue take() noexcept { return any_.load(std::memory_order_acquire) ? take_all() : Queue(); }

 private:
  Queue take_all() noexcept;

  uv_async_t wakeup_{};
  std::atomic<bool> any_{false};
  std::mutex mutex_;
  Queue queue_;  // guarded by mutex_
};

}  // namespace narwhal::worker
