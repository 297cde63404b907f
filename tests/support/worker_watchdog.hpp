// Watchdog: a test that stands still ends with a word instead of hanging for ever.
// Threads  fed from any; its own thread aborts the process, so that a debugger or a core file shows which thread waits
//          for which.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>

namespace narwhal::worker {

class Watchdog {
 public:
  Watchdog(std::string what, std::chrono::seconds limit) : what_(std::move(what)), limit_(limit) {}
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void feed() {
    const std::lock_guard lock(mutex_);
    ++fed_;
    changed_.notify_all();
  }

 private:
  void watch() {
    std::unique_lock lock(mutex_);
    while (!over_) {
      const unsigned long before = fed_;
      if (changed_.wait_for(lock, limit_, [&] { return over_ || fed_ != before; })) continue;
      std::fprintf(stderr, "watchdog: no progress within %lld s: %s\n", static_cast<long long>(limit_.count()),
                   what_.c_str());
      std::abort();
    }
  }

  const std::string what_;
  const std::chrono::seconds limit_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  unsigned long fed_ = 0;
  bool over_ = false;
  std::thread thread_{[this] { watch(); }};
};

}  // namespace narwhal::worker
