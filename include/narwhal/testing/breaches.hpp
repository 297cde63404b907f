// Breaches: what a plugin has done against plugin.h, as sentences, and what becomes of those that no test asked for.
// Ownership  values.
// Errors     on_breach() says what happens to a breach that nobody has taken.
// Threads    any.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace narwhal::testing {

using BreachHandler = std::function<void(const std::string& breach)>;

namespace detail {

struct HandlerSlot {
  std::mutex mutex;
  BreachHandler handler;
};
// Never destroyed: a plugin's thread may come late.
inline HandlerSlot& handler_slot() {
  static auto& slot = *new HandlerSlot;
  return slot;
}

// What a forgetful author gets to see. With a handler of the test framework it is a failed test; without one the
// program ends. While an exception is on its way the test has failed already, so that the lines are enough.
inline void report(const std::vector<std::string>& breaches) {
  if (breaches.empty()) return;
  BreachHandler handler;
  {
    const std::lock_guard lock(handler_slot().mutex);
    handler = handler_slot().handler;
  }
  const bool is_failing = std::uncaught_exceptions() != 0;
  if (!handler || is_failing) {
    for (const std::string& breach : breaches) std::fprintf(stderr, "narwhal/testing: %s\n", breach.c_str());
    if (is_failing) return;
    std::fprintf(stderr,
                 "narwhal/testing: the test has not asked for this. Where it is meant, call take_breaches(). To have a"
                 " failed test in place of this abort, give on_breach() a function.\n");
    std::abort();
  }
  for (const std::string& breach : breaches) handler(breach);
}

// The breaches of one worker.
class Breaches {
 public:
  // Each sentence is kept once. After close() nobody looks any more: it is reported at once.
  void add(std::string sentence) {
    {
      const std::lock_guard lock(mutex_);
      if (std::find(seen_.begin(), seen_.end(), sentence) != seen_.end()) return;
      seen_.push_back(sentence);
      if (!closed_) {
        left_.push_back(std::move(sentence));
        return;
      }
    }
    report({sentence});
  }
  std::vector<std::string> all() const {
    const std::lock_guard lock(mutex_);
    return left_;
  }
  std::vector<std::string> take() {
    const std::lock_guard lock(mutex_);
    seen_.clear();
    return std::exchange(left_, {});
  }
  std::vector<std::string> close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    return std::exchange(left_, {});
  }

 private:
  mutable std::mutex mutex_;  // guards everything below
  std::vector<std::string> left_, seen_;
  bool closed_ = false;
};

}  // namespace detail

// What is called, once for each breach that nobody has taken, when its Worker is destroyed; returns the former one.
// Without one the breaches are printed and the program aborts. For doctest:
//   narwhal::testing::on_breach([](const std::string& breach) { FAIL_CHECK(breach); });
// It may throw, as doctest's FAIL does: the exception leaves the Worker's destructor. A call that comes after that, from
// a thread that the plugin has left running, is reported on that thread; there it must not throw.
inline BreachHandler on_breach(BreachHandler handler) {
  const std::lock_guard lock(detail::handler_slot().mutex);
  return std::exchange(detail::handler_slot().handler, std::move(handler));
}

}  // namespace narwhal::testing
