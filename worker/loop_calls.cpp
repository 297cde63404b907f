#include "worker/loop_calls.hpp"

#include <algorithm>
#include <atomic>
#include <memory>

#include "worker/hang.hpp"

namespace narwhal::worker {

struct LoopCalls::Timer {
  uv_timer_t handle{};
  uv_loop_t* loop;
  Call call;
  std::uint64_t first, every;        // milliseconds
  std::atomic<bool> stopped{false};  // by a thread whose stop has not come to the loop yet

  // Of the loop's thread.
  static void begin(void* timer) {
    auto& own = *static_cast<Timer*>(timer);
    uv_timer_init(own.loop, &own.handle);
    own.handle.data = timer;
    uv_timer_start(&own.handle, fire, own.first, own.every);
  }
  static void fire(uv_timer_t* handle) {
    auto& own = *static_cast<Timer*>(handle->data);
    if (!own.stopped.load(std::memory_order_acquire)) own.call.make("a timer");
  }
  static void end(void* timer) {
    uv_close(reinterpret_cast<uv_handle_t*>(&static_cast<Timer*>(timer)->handle),
             [](uv_handle_t* handle) { delete static_cast<Timer*>(handle->data); });
  }
};

void LoopCalls::Call::make(const char* kind) const {
  const HookCall call(kind, reinterpret_cast<const void*>(run));
  run(argument);
}

void LoopCalls::open(uv_loop_t* loop) noexcept {
  loop_ = loop;
  uv_async_init(loop, &wakeup_, [](uv_async_t* handle) { static_cast<LoopCalls*>(handle->data)->make_calls(); });
  wakeup_.data = this;
}

void LoopCalls::post(Function run, void* argument) {
  if (loop_ == nullptr) return;
  {
    const std::lock_guard lock(mutex_);
    calls_.push_back({run, argument});
  }
  uv_async_send(&wakeup_);
}

// What they post in their turn comes next time, so that the loop goes on between.
void LoopCalls::make_calls() {
  std::vector<Call> calls;
  {
    const std::lock_guard lock(mutex_);
    calls.swap(calls_);
  }
  for (const Call& call : calls) call.make("a posted call");
}

LoopCalls::Timer* LoopCalls::start(std::chrono::milliseconds first, std::chrono::milliseconds every, Function fire,
                                   void* argument) {
  std::unique_ptr<Timer> timer(new Timer{.loop = loop_,
                                         .call = {fire, argument},
                                         .first = static_cast<std::uint64_t>(first.count()),
                                         .every = static_cast<std::uint64_t>(every.count())});
  // In the order of the calls: its end comes after its begin.
  post(Timer::begin, timer.get());
  return timer.release();
}

void LoopCalls::stop(Timer* timer) {
  if (loop_ == nullptr) {
    delete timer;
    return;
  }
  timer->stopped.store(true, std::memory_order_release);
  post(Timer::end, timer);
}

}  // namespace narwhal::worker
