// FakeLoop: what a Crew works on in its tests. Its tasks are jobs.
// Checks   every [baton] call counts itself in and out and touches a plain variable: two holders at once are counted
//          in `broken`, and a change of hands without a happens-before is a report of ThreadSanitizer.
// Threads  submit(), deliver_to() and stop() from any; the others as for CrewWork.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "worker/crew.hpp"
#include "worker/crew_work.hpp"

namespace narwhal::worker {

using Clock = std::chrono::steady_clock;

struct Job : Task {
  bool is_inline = false, slow = false;
  std::function<int(Job&)> body;

  // what became of it
  std::atomic<int> handled{0}, completed{0};
  int result = 0;       // as given to completed()
  unsigned member = 0;  // the member that ran it
  bool with_baton = false;
  std::thread::id thread;
  std::atomic<Clock::time_point> began{}, ended{};

  std::atomic<bool> delivered{false};  // what a waiting handler waits for; set by turn() under the loop's mutex
};

class FakeLoop final : public CrewWork {
 public:
  explicit FakeLoop(unsigned threads, std::chrono::milliseconds inline_patience = std::chrono::milliseconds(50))
      : threads_(threads), crew_(*this, threads, inline_patience) {}

  Crew& crew() { return crew_; }

  // ---- any thread ----
  void submit(Job& job) { submit(std::vector<Job*>{&job}); }
  void submit(const std::vector<Job*>& jobs) {  // arrive in one turn
    {
      const std::lock_guard lock(mutex_);
      arrivals_.insert(arrivals_.end(), jobs.begin(), jobs.end());
    }
    submitted += static_cast<int>(jobs.size());
    wake();
  }
  void stop() {
    stopping_ = true;
    wake();
  }
  // A handler waits until the loop, in a turn, has brought what it asked for. False: it never came.
  bool wait_for_delivery(Job& job, std::chrono::milliseconds patience = std::chrono::seconds(30)) {
    order(job);
    std::unique_lock lock(mutex_);
    return delivers_.wait_for(lock, patience, [&] { return job.delivered.load(); });
  }
  // The same, by tending the loop where that can be.
  bool tend_for_delivery(Job& job) {
    order(job);
    return crew_.tend_until([&] { return job.delivered.load(); }) || wait_for_delivery(job);
  }
  // From inside a handler: takes the loop back when it can, and touches what it owns.
  bool touch() {
    if (!crew_.reclaim()) return false;
    { const Held held(*this); }
    crew_.release();
    return true;
  }

  // ---- what was seen ----
  std::atomic<int> submitted{0}, completions{0}, too_many{0}, wrong_thread{0}, thread_starts{0}, thread_ends_seen{0};
  mutable std::atomic<int> broken{0};
  std::atomic<int> turns{0}, settles{0}, most_at_once{0};
  int taken = 0;  // [baton] by the crew
  std::atomic<bool> refuse_thread{false};
  std::function<void(Job&)> on_completed;  // [baton]
  std::function<void()> on_turn;           // [baton]
  std::function<void()> on_next_ready;     // [baton]
  std::function<bool()> may_finish;        // [baton] besides the rule of the real loop

  // ---- the crew's work ----
  void turn(Turn turn) override {
    const Held held(*this);
    ++turns;
    std::unique_lock lock(mutex_);
    if (turn == Turn::waits) {
      wakes_.wait_for(lock, std::chrono::seconds(20), [this] { return woken_ || !arrivals_.empty(); });
    }
    woken_ = false;
    ready_.insert(ready_.end(), arrivals_.begin(), arrivals_.end());
    arrivals_.clear();
    for (Job* job : wanted_) job->delivered = true;
    if (!wanted_.empty()) delivers_.notify_all();
    wanted_.clear();
    lock.unlock();
    if (on_turn) on_turn();
  }
  Job* next_ready() override {
    const Held held(*this);
    if (on_next_ready) on_next_ready();
    if (ready_.empty()) return nullptr;
    Job* job = ready_.front();
    ready_.pop_front();
    ++taken;
    return job;
  }
  void put_back(Task& task) override {
    const Held held(*this);
    ready_.push_front(&job_of(task));
    --taken;
  }
  void settle() override {
    const Held held(*this);
    ++settles;
  }
  void prepare_to_leave() override { const Held held(*this); }
  bool finished() const override {
    const Held held(*this);
    if (!stopping_ || !ready_.empty()) return false;
    {
      const std::lock_guard lock(mutex_);
      if (!arrivals_.empty()) return false;
    }
    return !may_finish || may_finish();
  }
  void completed(Task& task, int result) override {
    const Held held(*this);
    Job& job = job_of(task);
    job.result = result;
    ++job.completed;
    ++completions;
    if (on_completed) on_completed(job);
  }
  int handle(Task& task, unsigned member, Place place) noexcept override {
    Job& job = job_of(task);
    job.began = Clock::now();
    job.member = member;
    job.with_baton = place.with_baton;
    job.thread = std::this_thread::get_id();
    ++job.handled;
    if (job.is_inline) {
      if (!place.with_baton) ++broken;
    } else {
      const int now = ++running_;
      int most = most_at_once;
      while (now > most && !most_at_once.compare_exchange_weak(most, now)) continue;
      if (now > static_cast<int>(threads_)) ++too_many;
      if (threads_ == 1 && job.thread != main_) ++wrong_thread;
    }
    const int result = job.body ? job.body(job) : 0;
    if (!job.is_inline) --running_;
    job.ended = Clock::now();
    return result;
  }
  bool is_inline(const Task& task) const override {
    const Held held(*this);
    return job_of(task).is_inline;
  }
  bool expected_slow(const Task& task) const override {
    const Held held(*this);
    return job_of(task).slow;
  }
  void wake() noexcept override {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    wakes_.notify_all();
  }
  bool thread_started(unsigned member) override {
    ++thread_starts;
    return member == 0 || !refuse_thread;
  }
  void thread_ends(unsigned) override { ++thread_ends_seen; }

 private:
  class Held {
   public:
    explicit Held(const FakeLoop& loop) : loop_(loop) {
      // Relaxed, so that the check itself orders nothing between threads.
      if (loop_.holders_.fetch_add(1, std::memory_order_relaxed) != 0)
        loop_.broken.fetch_add(1, std::memory_order_relaxed);
      ++loop_.touched_;
    }
    ~Held() { loop_.holders_.fetch_sub(1, std::memory_order_relaxed); }

   private:
    const FakeLoop& loop_;
  };
  void order(Job& job) {
    const std::lock_guard lock(mutex_);
    wanted_.push_back(&job);
    woken_ = true;
    wakes_.notify_all();
  }
  static Job& job_of(Task& task) { return static_cast<Job&>(task); }
  static const Job& job_of(const Task& task) { return static_cast<const Job&>(task); }

  const unsigned threads_;
  const std::thread::id main_ = std::this_thread::get_id();
  mutable std::atomic<int> holders_{0}, running_{0};
  std::atomic<bool> stopping_{false};
  mutable unsigned long touched_ = 0;  // [baton] not atomic: that is the check
  std::deque<Job*> ready_;             // [baton]

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wakes_, delivers_;
  bool woken_ = false;
  std::vector<Job*> arrivals_, wanted_;

  Crew crew_;
};

// Runs the crew on this thread, as the process's main one, while `script` runs beside it and ends with stop().
template <class Script>
void run_crew(FakeLoop& loop, Script&& script) {
  std::thread beside([&] {
    script();
    loop.stop();
  });
  loop.crew().run();
  beside.join();
}

// True when `condition` came to hold within `limit`.
template <class Condition>
bool eventually(Condition&& condition, std::chrono::milliseconds limit = std::chrono::seconds(20)) {
  const auto until = Clock::now() + limit;
  while (!condition()) {
    if (Clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return true;
}

}  // namespace narwhal::worker
