// DateCache: the value of the Date field, made once a second and not once an answer.
// Threads  refresh(): the holder of the baton. text(): any.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>
#include <string_view>

#include "protocol/http1_response.hpp"

namespace narwhal::worker {

class DateCache {
 public:
  void refresh() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec == second_) return;
    second_ = now.tv_sec;
    index_ = (index_ + 1) % texts_max;
    protocol::encode_date(second_, texts_[index_]);
    current_.store(texts_[index_], std::memory_order_release);
  }
  // As of the last refresh(). It stays as it is for some seconds, for a handler on another thread that reads it.
  std::string_view text() const noexcept { return {current_.load(std::memory_order_acquire), protocol::date_bytes}; }

 private:
  static constexpr unsigned texts_max = 4;
  char texts_[texts_max][protocol::date_bytes] = {};
  unsigned index_ = 0;
  std::int64_t second_ = -1;
  std::atomic<const char*> current_{texts_[0]};
};

}  // namespace narwhal::worker
