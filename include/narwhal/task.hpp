// Coroutines: an app that waits for other threads without occupying a handler.
//   narwhal::task<narwhal::Response> show(narwhal::Request request) {
//     Row row = co_await narwhal::result_of<Row>([&](narwhal::Completion<Row> done) {
//       pool.query("...", [done = std::move(done)](Row found) mutable { done(std::move(found)); });
//     });
//     co_return narwhal::Response::text(row.name);
//   }
//   router.get("/rows/<int:id>", show);
// Life       the task begins on the handler thread, as a deferred answer, after every middleware has returned. It goes
//            on, on the thread that gives the result, until it waits again: that thread must be one that may send an
//            answer, which can wait for the client.
// Copies     parameters are copied into the coroutine: take the Request by value. What else is passed by reference, and
//            what a lambda captures, must live until the task has ended.
// Errors     what a task throws goes to the task that waits for it; from the last one it is answered and logged as if
//            an app had thrown it. A Completion that is dropped without a result throws std::runtime_error in the task.
// Ownership  a task owns its coroutine, and runs once.
// Source     C++20, [expr.await].
#pragma once

#include <narwhal/app_type.hpp>

#include <atomic>
#include <concepts>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace narwhal {

template <class T>
class task;

namespace detail {

class TaskPromise {
 public:
  std::suspend_always initial_suspend() const noexcept { return {}; }
  auto final_suspend() const noexcept {
    struct ToWaiting {
      std::coroutine_handle<> waiting;
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<>) const noexcept { return waiting; }
      void await_resume() const noexcept {}
    };
    return ToWaiting{waiting};
  }
  void unhandled_exception() noexcept { error = std::current_exception(); }

  std::coroutine_handle<> waiting;
  std::exception_ptr error;
};

template <class T>
struct PromiseOf final : TaskPromise {
  task<T> get_return_object() noexcept;
  template <class From>
  void return_value(From&& from) {
    value.emplace(std::forward<From>(from));
  }
  T take() {
    if (error) std::rethrow_exception(error);
    return std::move(*value);
  }
  std::optional<T> value;
};
template <>
struct PromiseOf<void> final : TaskPromise {
  task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const {
    if (error) std::rethrow_exception(error);
  }
};

}  // namespace detail

template <class T>
class [[nodiscard]] task {
 public:
  using promise_type = detail::PromiseOf<T>;
  using Handle = std::coroutine_handle<promise_type>;

  explicit task(Handle handle) noexcept : handle_(handle) {}
  task(task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  task& operator=(task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~task() {
    if (handle_) handle_.destroy();
  }

  // Waits for its end: co_await other(...).
  auto operator co_await() && noexcept {
    struct Waiting {
      Handle handle;
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) const noexcept {
        handle.promise().waiting = waiting;
        return handle;
      }
      T await_resume() const { return handle.promise().take(); }
    };
    return Waiting{handle_};
  }

  // So that a coroutine is an app.
  operator Response() && requires std::same_as<T, Response>;

 private:
  Handle handle_;
};

namespace detail {

template <class T>
task<T> PromiseOf<T>::get_return_object() noexcept {
  return task<T>(std::coroutine_handle<PromiseOf>::from_promise(*this));
}
inline task<void> PromiseOf<void>::get_return_object() noexcept {
  return task<void>(std::coroutine_handle<PromiseOf>::from_promise(*this));
}

// A coroutine that nobody waits for: it deletes itself at its end.
struct Detached {
  struct promise_type {
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }  // there is none: what a task throws is answered
  };
};
inline Detached answer_with(task<Response> work, Deferred deferred) {
  try {
    Response response = co_await std::move(work);
    deferred.respond(std::move(response));
  } catch (...) {
    deferred.respond_exception();
  }
}

}  // namespace detail

template <class T>
    task<T>::operator Response() && requires std::same_as<T, Response> {
  return Response::deferred([work = std::move(*this)](Deferred deferred) mutable {
    detail::answer_with(std::move(work), std::move(deferred));
  });
}

namespace detail {

// Between a task and what gives its result. Whoever comes second, the result or the task's going to sleep, wakes it.
template <class T>
struct Exchanged {
  enum State : int { starting, asleep, complete, left };
  std::atomic<int> state{starting};
  std::coroutine_handle<> sleeper;
  std::optional<T> value;
  std::exception_ptr error;

  void wake() {
    if (state.exchange(complete) == asleep) sleeper.resume();
  }
};

}  // namespace detail

// The duty to give a task its result, once, from any thread. It moves and has one owner. The call returns when the task
// waits again or has ended.
template <class T>
class Completion {
 public:
  explicit Completion(std::shared_ptr<detail::Exchanged<T>> exchanged) noexcept : exchanged_(std::move(exchanged)) {}
  Completion(Completion&&) noexcept = default;
  Completion& operator=(Completion&& other) noexcept {
    std::swap(exchanged_, other.exchanged_);
    return *this;
  }
  ~Completion() {
    if (exchanged_ != nullptr) fail(std::make_exception_ptr(std::runtime_error("a task's result was dropped")));
  }

  void operator()(T value) {
    const auto exchanged = std::move(exchanged_);
    if (exchanged->state.load() == detail::Exchanged<T>::left) return;
    exchanged->value.emplace(std::move(value));
    exchanged->wake();
  }
  // The task gets this exception.
  void fail(std::exception_ptr error) {
    const auto exchanged = std::move(exchanged_);
    if (exchanged->state.load() == detail::Exchanged<T>::left) return;
    exchanged->error = std::move(error);
    exchanged->wake();
  }

 private:
  std::shared_ptr<detail::Exchanged<T>> exchanged_;
};

// co_await result_of<T>(start): calls start(Completion<T>) at once, and waits until the Completion is called.
template <class T, class Start>
auto result_of(Start start) {
  struct Waiting {
    Start start;
    std::shared_ptr<detail::Exchanged<T>> exchanged = std::make_shared<detail::Exchanged<T>>();

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> sleeper) {
      const auto kept = exchanged;  // the task may have ended, and this with it, before start() returns
      kept->sleeper = sleeper;
      try {
        start(Completion<T>(kept));
      } catch (...) {
        const bool complete = kept->state.exchange(detail::Exchanged<T>::left) == detail::Exchanged<T>::complete;
        if (!complete || !kept->value) throw;
        return false;  // it already has its result
      }
      return kept->state.exchange(detail::Exchanged<T>::asleep) == detail::Exchanged<T>::starting;
    }
    T await_resume() {
      if (exchanged->error) std::rethrow_exception(exchanged->error);
      return std::move(*exchanged->value);
    }
  };
  return Waiting{std::move(start)};
}

}  // namespace narwhal

// Refuses a coroutine whose Request would be gone when it goes on.
template <class T, class... Parameters>
struct std::coroutine_traits<narwhal::task<T>, Parameters...> {
  static_assert((!std::is_same_v<Parameters, const narwhal::Request&> && ...),
                "a coroutine takes its Request by value: the reference would be gone when it goes on");
  using promise_type = typename narwhal::task<T>::promise_type;
};
