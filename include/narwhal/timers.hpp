// Calls on the worker's event loop: from another thread, or at a time.
//   narwhal::post_to_loop([this] { refresh_list(); });
//   timer_ = narwhal::Timer::every(std::chrono::seconds(10), [this] { expire_old(); });   // a member of the app
// Loop       one thread at a time runs them, between requests. They must not block; give long work to a thread of your own.
//            With NARWHAL_INLINE, or with `threads: 1`, that thread may be the handlers' too.
// End        what has not run when the worker has served its last request does not run. Timers go on while it is retired.
// Ownership  a Timer owns what it calls, and ends with its object.
// Errors     an exception goes to the log. Where the server lacks the extension, and in the template, nothing is called:
//            post_to_loop() is false, a Timer is empty.
// Threads    any. Destroying a Timer on the thread that runs the loop: it is not called any more. On another one it may be
//            in its call, or make one more: what it uses must live until then.
#pragma once

#include <narwhal/extensions.h>
#include <narwhal/callable.hpp>
#include <narwhal/log.hpp>

#include <chrono>
#include <memory>
#include <utility>

namespace narwhal {

namespace detail {

inline const narwhal_loop* loop_table() noexcept {
  return the_host != nullptr ? static_cast<const narwhal_loop*>(the_host->get_extension(NARWHAL_LOOP)) : nullptr;
}

inline void call_logged(const char* kind, Callable<void()>& call) noexcept {
  try {
    call();
  } catch (...) {
    log_error(std::string(kind).append(": ").append(reason_now()));
  }
}

}  // namespace detail

// False: it will not be called.
inline bool post_to_loop(Callable<void()> call) {
  const narwhal_loop* const loop = detail::loop_table();
  if (loop == nullptr) return false;
  auto kept = std::make_unique<Callable<void()>>(std::move(call));
  const auto run = [](void* argument) {
    const std::unique_ptr<Callable<void()>> owned(static_cast<Callable<void()>*>(argument));
    detail::call_logged("a posted call", *owned);
  };
  if (loop->post(run, kept.get()) != NARWHAL_OK) return false;
  static_cast<void>(kept.release());
  return true;
}

class Timer {
 public:
  Timer() noexcept = default;
  static Timer once(std::chrono::milliseconds after, Callable<void()> call) {
    return Timer(after, std::chrono::milliseconds(0), std::move(call));
  }
  static Timer every(std::chrono::milliseconds period, Callable<void()> call) {
    return Timer(period, period, std::move(call));
  }
  Timer(Timer&& other) noexcept
      : timer_(std::exchange(other.timer_, nullptr)), call_(std::exchange(other.call_, nullptr)) {}
  Timer& operator=(Timer other) noexcept {
    std::swap(timer_, other.timer_);
    std::swap(call_, other.call_);
    return *this;
  }
  ~Timer() { stop(); }

  explicit operator bool() const noexcept { return timer_ != nullptr; }
  void stop() noexcept {
    if (timer_ == nullptr) return;
    const narwhal_loop* const loop = detail::loop_table();
    loop->stop_timer(std::exchange(timer_, nullptr));
    // After the timer's last call. Without memory it is lost, which is better than a call into it.
    loop->post([](void* call) { delete static_cast<Callable<void()>*>(call); }, std::exchange(call_, nullptr));
  }

 private:
  Timer(std::chrono::milliseconds first, std::chrono::milliseconds every, Callable<void()> call) {
    const narwhal_loop* const loop = detail::loop_table();
    if (loop == nullptr) return;
    auto kept = std::make_unique<Callable<void()>>(std::move(call));
    const auto fire = [](void* argument) { detail::call_logged("a timer", *static_cast<Callable<void()>*>(argument)); };
    const auto ns = [](std::chrono::milliseconds time) {
      return static_cast<std::uint64_t>(std::chrono::nanoseconds(time).count());
    };
    timer_ = loop->start_timer(ns(first), ns(every), fire, kept.get());
    if (timer_ != nullptr) call_ = kept.release();
  }

  narwhal_timer* timer_ = nullptr;
  Callable<void()>* call_ = nullptr;
};

}  // namespace narwhal
