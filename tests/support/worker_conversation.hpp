// What the conversation tests share: settings, requests, and an application's own threads.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/config.hpp"

namespace narwhal::worker {

using namespace std::chrono_literals;

inline Config config_of(unsigned threads) {
  Config config;
  config.threads = threads;
  config.graceful_timeout = 600s;
  return config;
}

inline std::string repeat(std::string_view text, int times) {
  std::string all;
  for (int time = 0; time < times; ++time) all += text;
  return all;
}

inline std::string get(const std::string& target) { return "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n"; }

// Threads of an application that answers later.
class Jobs {
 public:
  ~Jobs() { join(); }
  void run(std::function<void()> job) {
    const std::lock_guard lock(mutex_);
    threads_.emplace_back(std::move(job));
  }
  void join() {
    std::vector<std::thread> threads;
    {
      const std::lock_guard lock(mutex_);
      threads.swap(threads_);
    }
    for (std::thread& thread : threads) thread.join();
  }

 private:
  std::mutex mutex_;
  std::vector<std::thread> threads_;
};

}  // namespace narwhal::worker
