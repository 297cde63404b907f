// Crew: the threads of one worker, and the baton that says which of them tends the event loop.
//
// A quick handler runs on the thread that has just tended the loop, so it pays no thread switch. While it
// runs, the baton is up for grabs: a standby thread looks once a millisecond, and when the same handler is
// still at it, takes the baton and goes on with the loop. A handler that comes back without the baton leaves
// its exchange in a queue. Plugins known to be slow are sent to another thread at once.
//
// Threads   `threads` handlers run at once, at most; there is one thread more, so that somebody can always
//           tend the loop. With threads == 1 only the process's main thread runs handlers.
// Baton     phase_ is odd in its lowest bit while the holder is inside a handler. Taking the baton is one
//           compare-and-swap of that very value, and so is coming back: exactly one of them succeeds. What
//           the loop owns is therefore touched by one thread at a time, with a happens-before at each change.
// Cost      a handler costs one exchange and one compare-and-swap, no lock and no system call.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/clock.hpp"
#include "worker/task.hpp"

namespace narwhal::worker {

class Crew {
 public:
  // What the crew does its work on. [baton]: called by the thread that holds the baton.
  class Work {
   public:
    virtual ~Work() = default;
    enum class Turn : bool { waits, passes };
    virtual void turn(Turn) = 0;          // [baton] one turn of the loop; `waits` when there is nothing to do
    virtual Task* next_ready() = 0;       // [baton] a complete request, oldest first, or null
    virtual void put_back(Task&) = 0;     // [baton] what next_ready() gave last
    virtual void settle() = 0;            // [baton] send what was held back; before waiting or parting
    virtual void prepare_to_leave() = 0;  // [baton] before finished(): may end the process, if all else is stuck
    virtual bool finished() const = 0;    // [baton] nothing is left to do: everybody leaves
    virtual void completed(Task&, int result) = 0;  // [baton] after handle()
    // On a handler's thread.
    struct Place {
      bool with_baton;  // the thread is the one that tends the loop
      bool has_waited;  // since next_ready()
    };
    virtual int handle(Task&, unsigned member, Place place) noexcept = 0;
    virtual bool is_inline(const Task&) const = 0;      // [baton]
    virtual bool expected_slow(const Task&) const = 0;  // [baton] worth a thread switch
    virtual void wake() noexcept = 0;                   // any thread: makes turn() return
    virtual bool thread_started(unsigned member) = 0;   // on that thread, first; false: cannot serve
    virtual void thread_ends(unsigned member) = 0;      // on that thread, last
  };

  Crew(Work& work, unsigned threads, std::chrono::milliseconds inline_patience);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // Main thread. Starts the other threads; false when one of them could not start: the process has to end then,
  // without destroying this, for the others are still at it.
  bool start();
  // Main thread. Returns when Work::finished() said so and every other thread has ended, or after abandon().
  void run();

  // A handler's thread, inside handle(): takes the loop back for a moment, if nobody has taken it over. After
  // true the caller may touch what the loop owns, until release().
  bool reclaim() noexcept;
  void release() noexcept;
  // A handler's thread, inside handle(): waits for what the loop must bring, by tending it. False when somebody else tends
  // it: then it has to be waited for otherwise.
  template <typename Done>
  bool tend_until(Done done) {
    if (!begin_tending()) return false;
    while (hand_out()) {
      if (done()) {
        release();
        return true;
      }
      turn(Work::Turn::waits);
    }
    return false;
  }
  // The same: one turn, if the loop is in hand.
  void tend_in_passing() {
    if (!begin_tending()) return;
    turn(Work::Turn::passes);
    if (hand_out()) release();
  }

  // [baton] Handlers that could take a request now, and requests that wait for one.
  unsigned free_handlers() const noexcept;
  unsigned waiting() const noexcept { return waiting_count_.load(std::memory_order_relaxed); }
  unsigned handling() const noexcept;
  // [baton] Takes back the tasks that no handler has begun, oldest first. enqueue_again() for those that stay.
  Task::List take_waiting() noexcept;
  void enqueue_again(Task::List tasks) noexcept;

 private:
  struct Member {
    unsigned index = 0;
    std::thread thread;       // not the main one's
    std::uint64_t phase = 0;  // what it wrote when it entered its handler
    bool has_baton = false;   // as far as it knows: see reclaim()
    bool in_handler = false;
    bool is_counted = false;  // in remote_handlers_, though it may hold the baton
  };

  struct Sight {  // what the standby saw last
    std::uint64_t phase = 0;
    Instant since = now();
    int quiet_looks = 0;  // without any handler; then it sleeps until one begins
  };

  void live(Member& me);
  void serve(Member& me);
  void tend(Member& me);
  bool begin_tending() noexcept;
  void turn(Work::Turn turn) noexcept;
  bool hand_out() noexcept;
  void free_place() noexcept;
  bool run_with_baton(Member& me, Task& task, bool has_waited);
  void run_without_baton(Member& me, std::unique_lock<std::mutex>& lock);
  bool watch(Member& me, std::unique_lock<std::mutex>& lock);
  void wait_to_look(const Sight& sight, std::unique_lock<std::mutex>& lock);
  bool keeps_waiting(Sight& sight) const noexcept;
  bool take_baton(Member& me, std::uint64_t seen) noexcept;
  bool should_part(const Member& me) const noexcept;
  bool may_run_here(const Member& me, const Task& task) const;
  void enqueue(Task& task) noexcept;
  void collect() noexcept;
  void offer_baton() noexcept;
  bool wants_baton(const Member& me) const;
  bool prefers_baton(const Member& me) const;
  Task* take_quick(const Member& me) noexcept;
  Task& take_first() noexcept;
  bool may_handle(const Member& me) const noexcept { return threads_ > 1 || me.index == 0; }
  void enter_handler(Member& me, bool is_inline) noexcept;
  bool leave_handler(Member& me) noexcept;
  void wake_standby() noexcept;
  void notify_handler() noexcept;
  void count_waiting(int change) noexcept;
  void post(Task& task, int result) noexcept;

  static thread_local Member* me_;  // the crew's thread this is, or null

  Work& work_;
  const unsigned threads_;
  const std::chrono::milliseconds inline_patience_;
  std::vector<std::unique_ptr<Member>> members_;

  static constexpr std::uint64_t in_handler_bit = 1, inline_bit = 2, counted_bit = 4, all_bits = 7, sequence_one = 8;
  std::atomic<std::uint64_t> phase_{0};  // a sequence, and these bits
  std::atomic<bool> standby_asleep_{false};
  std::atomic<unsigned> remote_handlers_{0};  // handlers on threads without the baton, and one that has tended the loop
  std::atomic<unsigned> waiting_count_{0};    // of waiting_, for reading without the lock
  std::atomic<bool> news_{false};             // completed_ is not empty
  std::atomic<bool> baton_wanted_{false};     // by the main thread, with threads == 1
  std::atomic<bool> slow_mode_{false};        // what waits is slow: the main thread leaves the loop to the standby

  std::mutex mutex_;  // guards everything below
  std::condition_variable handlers_wake_, standby_wakes_;
  Task::List waiting_, completed_;
  unsigned idle_handlers_ = 0;  // threads waiting in handlers_wake_
  bool standby_present_ = false;
  bool baton_offered_ = false;  // nobody tends the loop: who wakes first takes it
  bool leaving_ = false;
  unsigned starting_ = 0, failed_ = 0;
  std::condition_variable started_;
};

}  // namespace narwhal::worker
