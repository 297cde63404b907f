// Crew: the threads of one worker, which pass the event loop on among them (the pattern Leader/Followers).
//
// The thread that holds the baton runs the loop ("tends" it), and quick handlers between two turns, so that these cost no
// thread switch. While it is in a handler, the standby thread looks once a millisecond; when the same handler still runs,
// the standby takes the baton and goes on with the loop. A handler that returns without the baton leaves its task in a
// queue for the holder. Tasks that are known to be slow wait for another thread at once.
//
// Parts     Baton: the atomic word that is taken and given back. Followers: what the threads without the baton do, and
//           the queues. TaskCounts: how many tasks are where. Here: the threads, and what the holder does.
// Owns      its threads. Tasks belong to the CrewWork, which gets each back by completed(), and outlives this.
// Errors    start() returns false. Nothing after it fails: the links are in the tasks, so that queueing needs no memory.
// Threads   at most `threads` handlers run at once. There is one thread more, so that one can always run the loop. With
//           threads == 1 only the process's main thread runs handlers, and the holder of the baton inline ones.
// Cost      a handler beside the loop costs one exchange and one compare-and-swap, no lock and no system call.
#pragma once

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "worker/baton.hpp"
#include "worker/crew_work.hpp"
#include "worker/followers.hpp"
#include "worker/task_counts.hpp"

namespace narwhal::worker {

class Crew {
 public:
  Crew(CrewWork& work, unsigned threads, std::chrono::milliseconds inline_patience);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // Main thread. Starts the other threads; false when one of them could not start: the process has to end then,
  // without destroying this, because the others still run.
  bool start();
  // Main thread. Returns when CrewWork::finished() is true, no task is left, and every other thread has ended.
  void run();

  // A handler's thread, inside handle(): takes the loop back for a moment, if no other thread has taken it over. After
  // true the caller may touch what the loop owns, until release().
  bool reclaim() noexcept;
  void release() noexcept;
  // A handler's thread, inside handle(): runs the loop until `done`. False when another thread runs it: then the handler
  // has to wait in another way.
  template <typename Done>
  bool tend_until(Done done) {
    if (!begin_tending()) return false;
    while (hand_out()) {
      if (done()) {
        release();
        return true;
      }
      turn(CrewWork::Turn::waits);
    }
    return false;
  }
  // The same: one turn, if no other thread runs the loop.
  void tend_in_passing() {
    if (!begin_tending()) return;
    turn(CrewWork::Turn::passes);
    if (hand_out()) release();
  }

  // Any thread.
  const TaskCounts& counts() const noexcept { return counts_; }
  // The member that runs the loop, or whose handler keeps it meanwhile; nothing while the baton changes hands. Also in a
  // signal handler.
  struct Holder {
    unsigned member;
    bool in_handler;
  };
  std::optional<Holder> holder() const noexcept;
  // [baton] Takes back the tasks that no handler has begun, oldest first. enqueue_again() for those that stay.
  Task::List take_waiting() noexcept { return followers_.take_waiting(); }
  void enqueue_again(Task::List tasks) noexcept { followers_.enqueue_again(tasks); }
  // [baton] The task that waits longest for a thread, or null. It may have begun when this returns.
  const Task* first_waiting() noexcept { return followers_.first_waiting(); }

 private:
  // What one thread changes, and holder() may read on another. As cheap as a plain value.
  template <typename Value>
  class Shown {
   public:
    operator Value() const noexcept { return value_.load(std::memory_order_relaxed); }
    Shown& operator=(Value value) noexcept {
      value_.store(value, std::memory_order_relaxed);
      return *this;
    }

   private:
    std::atomic<Value> value_{Value()};
  };

  struct Member {
    unsigned index = 0;
    std::thread thread;  // not the main one's
    // Changed by its own thread only.
    Shown<Baton::Phase> phase;  // what enter() returned for its handler
    Shown<bool> has_baton;      // as far as it knows: see reclaim()
    Shown<bool> in_handler;
    bool is_counted = false;  // in TaskCounts::handling(), though it may hold the baton
  };

  void live(Member& me, std::promise<bool> ready);
  void serve(Member& me);
  Task* tend(Member& me);
  void collect() noexcept;
  bool may_run_here(const Member& me, const Task& task) const;
  bool run_with_baton(Member& me, Task& task, bool has_waited);
  void run_without_baton(Member& me, Task& task);
  inline void enter_handler(Member& me, bool is_inline) noexcept;  // inline: on the path of every request
  inline bool leave_handler(Member& me) noexcept;
  bool begin_tending() noexcept;
  void turn(CrewWork::Turn turn) noexcept;
  bool hand_out() noexcept;

  static thread_local Member* me_;  // the crew's thread this is, or null

  CrewWork& work_;
  std::vector<std::unique_ptr<Member>> members_;
  Baton baton_;
  TaskCounts counts_;
  Followers followers_;
};

}  // namespace narwhal::worker
