// PerThread<T>: one T for each thread that uses it: a connection to a database, a parser, a buffer. A member of an app
// object, so each mount has its own.
//   narwhal::PerThread<Connection> connection_{[this] { return Connection(dsn_); }};
//   connection_->query(...);
// Ownership  it owns every T, and deletes them when it is deleted itself, on that thread: with the app object, after the
//            last request.
// Errors     what making a T throws passes through, and the next use tries again.
// Threads    any. A T is made at its thread's first use, one at a time.
#pragma once

#include <narwhal/callable.hpp>
#include <narwhal/log.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace narwhal {

namespace detail {

// What the threads keep: for each PerThread, by its number, a pointer to the thread's object. Numbers are not used again.
NARWHAL_OF_THIS_PLUGIN inline std::atomic<std::size_t> next_per_thread{0};
NARWHAL_OF_THIS_PLUGIN inline thread_local std::vector<void*> objects_of_thread;

}  // namespace detail

template <class T>
class PerThread {
 public:
  PerThread() : PerThread([] { return T(); }) {}
  explicit PerThread(Callable<T()> make) : make_(std::move(make)) {}
  PerThread(const PerThread&) = delete;
  PerThread& operator=(const PerThread&) = delete;

  T& operator*() {
    std::vector<void*>& objects = detail::objects_of_thread;
    if (number_ < objects.size() && objects[number_] != nullptr) return *static_cast<T*>(objects[number_]);
    if (number_ >= objects.size()) objects.resize(number_ + 1);
    const std::lock_guard lock(mutex_);
    made_.push_back(nullptr);
    try {
      made_.back().reset(new T(make_()));
    } catch (...) {
      made_.pop_back();
      throw;
    }
    objects[number_] = made_.back().get();
    return *made_.back();
  }
  T* operator->() { return &**this; }

 private:
  const std::size_t number_ = detail::next_per_thread++;
  Callable<T()> make_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> made_;
};

}  // namespace narwhal
