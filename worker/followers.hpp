// Followers: the threads of a crew that do not hold the baton. Gives each its next duty: to handle a task, to run the loop,
// or to leave. Threads without a duty sleep here. One of them is the standby, which watches the holder.
// Mutex    one guards the queues of tasks and which thread does what, because each duty depends on both.
// Waking   a thread that stops standing by wakes another one to do it. The standby looks once a millisecond while handlers
//          run, and once a second otherwise. No other thread polls.
// 1 thread with threads == 1, handlers run only on the main thread, which is member 0. The other thread only runs the loop.
//          Quick handlers must run beside the loop, so the main thread wants the baton back, unless what waits is slow.
// Threads  [baton]: the holder. [locked]: with mutex_ held. The rest: any thread of the crew.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "worker/baton.hpp"
#include "worker/crew_work.hpp"
#include "worker/sight.hpp"
#include "worker/task_counts.hpp"

namespace narwhal::worker {

class Followers {
 public:
  Followers(CrewWork& work, Baton& baton, TaskCounts& counts, unsigned threads,
            std::chrono::milliseconds inline_patience) noexcept
      : work_(work), baton_(baton), counts_(counts), threads_(threads), inline_patience_(inline_patience) {}
  Followers(const Followers&) = delete;
  Followers& operator=(const Followers&) = delete;

  bool may_handle(unsigned member) const noexcept { return threads_ > 1 || member == 0; }

  struct Duty {
    enum class Kind : std::uint8_t { handle, tend, leave } kind;  // tend: the caller now holds the baton
    Task* task = nullptr;                                         // to handle
  };
  // Waits until there is one. `handled`: a task that the caller has handled without the baton, or null. It is queued for
  // the holder.
  Duty next_duty(unsigned member, Task* handled);

  // ---- [baton] ----
  // A task that may not run beside the loop: it waits for a thread.
  void enqueue(Task& task, bool expected_slow) noexcept;
  // With threads == 1, for the main thread: the first task that waits for it, if that is quick. Otherwise null: with more
  // threads, the others take what waits.
  Task* take_quick(unsigned member) noexcept {
    return is_only_handler(member) && counts_.waiting() != 0 ? take_first_if_quick() : nullptr;
  }
  Task::List collect() noexcept;  // what handlers on other threads have handled
  // Takes back the tasks that no handler has begun, oldest first. enqueue_again() for those that stay.
  Task::List take_waiting() noexcept;
  void enqueue_again(Task::List tasks) noexcept;
  const Task* first_waiting() noexcept {
    const std::lock_guard lock(mutex_);
    return waiting_.first();
  }
  void handler_freed() noexcept;  // a handler that was counted has returned to the holder: another may begin
  // With threads == 1, whether this holder should offer the baton: the main thread gives it away when a task waits that
  // has to run without it, and gets it back from the other thread when it wants it.
  bool wants_baton_from(unsigned member) const noexcept {
    if (threads_ != 1) return false;
    if (member != 0) return baton_wanted_;
    return counts_.waiting() != 0 && counts_.handling() == 0;
  }
  void offer_baton() noexcept;  // the caller does not hold it any more
  void dismiss() noexcept;      // every thread leaves

  void wake_standby() noexcept;

 private:
  bool is_only_handler(unsigned member) const noexcept { return threads_ == 1 && member == 0; }
  Task* take_first_if_quick() noexcept;
  // [locked]
  void add_returned(Task& task) noexcept;
  bool may_take_task(unsigned member) const noexcept;
  bool wants_baton(unsigned member) const noexcept;
  bool prefers_baton(unsigned member) const noexcept;
  Task& begin_first(unsigned member) noexcept;
  bool stand_by(unsigned member, std::unique_lock<std::mutex>& lock);
  void wait_to_look(const Sight& sight, std::unique_lock<std::mutex>& lock);
  bool take_baton(unsigned member, Baton::Phase seen) noexcept;
  void notify_handler() noexcept;
  void notify_all() noexcept;

  CrewWork& work_;
  Baton& baton_;
  TaskCounts& counts_;
  const unsigned threads_;
  const std::chrono::milliseconds inline_patience_;
  std::atomic<bool> baton_wanted_{false};  // by the main thread, with threads_ == 1

  std::mutex mutex_;  // guards everything below, and each change above
  std::condition_variable handlers_wake_, standby_wakes_;
  Task::List waiting_, returned_;
  unsigned idle_handlers_ = 0;  // threads waiting in handlers_wake_
  bool standby_present_ = false;
  bool baton_offered_ = false;  // nobody runs the loop: the thread that wakes first takes the baton
  bool slow_mode_ = false;      // what waits is slow: the main thread leaves the loop to the standby
  bool leaving_ = false;
};

}  // namespace narwhal::worker
