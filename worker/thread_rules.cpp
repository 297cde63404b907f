#include "worker/thread_rules.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <vector>

#include "core/log_limit.hpp"

namespace narwhal::worker {

namespace {

LogLimit limit(10);

struct RunningCall {
  const Exchange* exchange;
  CallGroup group;
  const char* call;
};
std::mutex mutex;
std::condition_variable has_left;
// Guarded by mutex. There is room for more than there are threads: a check must not need memory.
std::vector<RunningCall> running = [] {
  std::vector<RunningCall> room;
  room.reserve(1024);
  return room;
}();

}  // namespace

void report_thread(const Exchange& exchange, const char* call, const char* rule) noexcept {
  limit.error("plugin '{}' has called {}() for {} {} {}", exchange.mount->source, call, exchange.head.method.view(),
              exchange.head.target.view(), rule);
}

void report_thread(const char* plugin, const char* call, const char* rule) noexcept {
  limit.error("plugin '{}' has called {}() {}", plugin, call, rule);
}

void OneAtATime::enter(const char* call) noexcept {
  std::unique_lock lock(mutex);
  const auto find = [this] {
    return std::find_if(running.begin(), running.end(), [this](const RunningCall& each) {
      return each.exchange == &exchange_ && each.group == group_;
    });
  };
  if (const auto other = find(); other != running.end()) {
    limit.error("plugin '{}' has called {}() for {} {} while another thread was in {}() of it: one thread at a time",
                exchange_.mount->source, call, exchange_.head.method.view(), exchange_.head.target.view(), other->call);
    has_left.wait(lock, [&] { return find() == running.end(); });
  }
  if (running.size() < running.capacity()) running.push_back({&exchange_, group_, call});
}

void OneAtATime::leave() noexcept {
  const std::lock_guard lock(mutex);
  std::erase_if(running,
                [this](const RunningCall& each) { return each.exchange == &exchange_ && each.group == group_; });
  has_left.notify_all();
}

}  // namespace narwhal::worker
