// LoopCalls: what plugins have asked the loop to call: soon, or at a time (narwhal/extensions.h: narwhal_loop).
// Ownership  a timer is its plugin's, from start() to stop(). What it points to is the plugin's too.
// Errors     std::bad_alloc.
// No loop    before open(), calls are taken and never made: in --check-config.
// Threads    open(): the loop's. The rest: any; calls are made by the holder of the baton.
#pragma once

#include <uv.h>

#include <chrono>
#include <mutex>
#include <vector>

namespace narwhal::worker {

class LoopCalls {
 public:
  using Function = void (*)(void* argument);
  struct Timer;

  void open(uv_loop_t* loop) noexcept;

  void post(Function run, void* argument);
  // `every`: 0 is once.
  Timer* start(std::chrono::milliseconds first, std::chrono::milliseconds every, Function fire, void* argument);
  void stop(Timer* timer);

 private:
  struct Call {
    Function run;
    void* argument;
    void make(const char* kind) const;
  };
  void make_calls();

  uv_loop_t* loop_ = nullptr;
  uv_async_t wakeup_{};
  std::mutex mutex_;
  std::vector<Call> calls_;  // guarded by mutex_
};

}  // namespace narwhal::worker
