#include "worker/posts.hpp"

#include <utility>

namespace narwhal::worker {

void Posts::open(uv_loop_t* loop) noexcept {
  uv_async_init(loop, &wakeup_, [](uv_async_t*) {});  // it only makes uv_run() return
}

void Posts::post_marked(Exchange& exchange) noexcept {
  {
    const std::lock_guard lock(mutex_);
    queue_.add(exchange);
    any_.store(true, std::memory_order_release);
  }
  wake();
}

Posts::Queue Posts::take_all() noexcept {
  const std::lock_guard lock(mutex_);
  any_.store(false, std::memory_order_relaxed);
  return std::exchange(queue_, {});
}

}  // namespace narwhal::worker
