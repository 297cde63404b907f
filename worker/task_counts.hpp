// TaskCounts: how many of a crew's tasks wait for a thread, are in handlers on threads without the baton, or have returned
// from there. Readable without a lock.
// Order    a task that another thread runs moves
//              waiting -> handling -> returned -> completed by the holder of the baton
//          and is counted in its next place before it is taken out of the last one: each store that takes it out is a
//          release. Readers read in the direction in which tasks move, each time with acquire. So a reader may see a task
//          twice for a moment, but never misses one. A reader in the other direction would: it sees that none is
//          handled, then a thread takes the last one that waits, then it sees that none waits.
// Threads  reading: any. Changing: [locked], under the mutex of Followers, or [baton], the holder of the baton.
#pragma once

#include <atomic>

namespace narwhal::worker {

class TaskCounts {
 public:
  explicit TaskCounts(unsigned handlers_max) noexcept : handlers_max_(handlers_max) {}

  // ---- for readers: where more than one is read, in this order ----
  unsigned waiting() const noexcept { return waiting_.load(std::memory_order_acquire); }
  // Handlers on threads without the baton, and one that has run the loop from inside.
  unsigned handling() const noexcept { return handling_.load(std::memory_order_acquire); }
  bool any_returned() const noexcept { return any_returned_.load(std::memory_order_acquire); }
  bool all_handled() const noexcept { return waiting() == 0 && handling() == 0; }
  // None in any of the three places. The holder of the baton may rely on it until it lets another task wait.
  bool idle() const noexcept { return all_handled() && !any_returned(); }
  // Handlers that could take a request now, when those that wait have theirs.
  unsigned free_handlers() const noexcept {
    const unsigned waiting = this->waiting(), taken = waiting + handling();
    return taken >= handlers_max_ ? 0 : handlers_max_ - taken;
  }
  bool another_may_begin() const noexcept { return handling() < handlers_max_; }

  // ---- as tasks move ----
  void now_waiting(unsigned count) noexcept { waiting_.store(count, std::memory_order_release); }  // [locked] [baton]
  void began_elsewhere() noexcept {                                                                // [locked]
    handling_.fetch_add(1, std::memory_order_relaxed);  // published by the next line
    now_waiting(waiting_.load(std::memory_order_relaxed) - 1);
  }
  void returned() noexcept {  // [locked] it is in the queue of those that have returned
    any_returned_.store(true, std::memory_order_release);
    handling_.fetch_sub(1, std::memory_order_release);
  }
  void collected() noexcept { any_returned_.store(false, std::memory_order_relaxed); }  // [locked] [baton]

  // ---- a handler whose thread holds the baton [baton] ----
  // Counted as if it were elsewhere: it runs the loop, and what arrives has to wait for another thread; or its baton
  // has been taken.
  void add_handler() noexcept { handling_.fetch_add(1, std::memory_order_relaxed); }
  void remove_handler() noexcept { handling_.fetch_sub(1, std::memory_order_release); }

 private:
  const unsigned handlers_max_;
  std::atomic<unsigned> waiting_{0}, handling_{0};
  std::atomic<bool> any_returned_{false};
};

}  // namespace narwhal::worker
