#include "worker/followers.hpp"

#include <utility>

namespace narwhal::worker {

using namespace std::chrono_literals;

namespace {
constexpr auto watch_period = 1ms;  // how long a handler may keep the loop waiting
constexpr auto sleeping_look = 1s;  // inline handlers wake nobody, so a sleeping standby looks by itself
}  // namespace

Followers::Duty Followers::next_duty(unsigned member, Task* handled) {
  std::unique_lock lock(mutex_);
  if (handled != nullptr) add_returned(*handled);
  while (!leaving_) {
    if (may_take_task(member) && !prefers_baton(member)) return {Duty::Kind::handle, &begin_first(member)};
    if (baton_offered_ && !(baton_wanted_ && member != 0)) {
      baton_offered_ = baton_wanted_ = false;
      return {Duty::Kind::tend};
    }
    if (wants_baton(member) && !baton_wanted_ && !baton_offered_) {
      baton_wanted_ = true;
      work_.wake();
    } else if (!standby_present_) {
      if (stand_by(member, lock)) return {Duty::Kind::tend};
    } else {
      ++idle_handlers_;
      handlers_wake_.wait(lock);
      --idle_handlers_;
    }
  }
  return {Duty::Kind::leave};
}

void Followers::add_returned(Task& task) noexcept {
  returned_.add(task);
  counts_.returned();
  work_.wake();
}

bool Followers::may_take_task(unsigned member) const noexcept {
  return may_handle(member) && !waiting_.empty() && counts_.another_may_begin();
}

bool Followers::wants_baton(unsigned member) const noexcept { return is_only_handler(member) && !slow_mode_; }

// Also while requests keep coming: run without the baton, each of them would cost a thread switch, and the queue might
// never be empty again. Not while the holder is in a handler of its own, because nobody knows for how long.
bool Followers::prefers_baton(unsigned member) const noexcept {
  return wants_baton(member) && !waiting_.first()->expected_slow_ &&
         !baton_.seen(std::memory_order_relaxed).in_handler();
}

Task& Followers::begin_first(unsigned member) noexcept {
  if (is_only_handler(member)) {
    baton_wanted_ = false;
    if (baton_offered_) standby_wakes_.notify_one();  // it was meant for this thread; now any may take it
  }
  counts_.began_elsewhere();
  return *waiting_.take();
}

// ---- the standby ----

// True: it has taken the baton. False: there may be another duty.
bool Followers::stand_by(unsigned member, std::unique_lock<std::mutex>& lock) {
  standby_present_ = true;
  Sight sight(inline_patience_, now());
  bool taken = false;
  while (!taken) {
    wait_to_look(sight, lock);
    if (leaving_ || baton_offered_ || may_take_task(member)) break;
    if (wants_baton(member) && !baton_wanted_ && counts_.handling() == 0) break;
    const Baton::Phase seen = baton_.seen();
    taken = sight.keeps_waiting(seen, now()) && take_baton(member, seen);
  }
  standby_present_ = false;
  // Another thread must stand by as soon as this one does something else.
  handlers_wake_.notify_one();
  return taken;
}

// A standby that has seen nothing for a while sleeps until a handler begins.
void Followers::wait_to_look(const Sight& sight, std::unique_lock<std::mutex>& lock) {
  if (!sight.is_quiet()) {
    standby_wakes_.wait_for(lock, watch_period);
    return;
  }
  if (baton_.standby_may_sleep()) standby_wakes_.wait_for(lock, sleeping_look);
  baton_.standby_woke();
}

// From now on, the handler in which the holder was seen counts as one on another thread.
bool Followers::take_baton(unsigned member, Baton::Phase seen) noexcept {
  if (!baton_.take(seen)) return false;
  if (!seen.is_counted()) counts_.add_handler();
  if (member == 0) baton_wanted_ = false;  // else nobody could take it over from this thread
  return true;
}

void Followers::wake_standby() noexcept {
  const std::lock_guard lock(mutex_);
  baton_.standby_woke();
  standby_wakes_.notify_one();
}

// ---- for the holder ----

void Followers::enqueue(Task& task, bool expected_slow) noexcept {
  const std::lock_guard lock(mutex_);
  task.expected_slow_ = slow_mode_ = expected_slow;
  waiting_.add(task);
  counts_.now_waiting(counts_.waiting() + 1);
  notify_handler();
}

// Wakes one more thread for what waits. A thread that was woken counts as idle until it runs.
void Followers::notify_handler() noexcept {
  if (counts_.waiting() <= idle_handlers_) {
    handlers_wake_.notify_one();
  } else {
    standby_wakes_.notify_one();
  }
}

Task* Followers::take_first_if_quick() noexcept {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty() || waiting_.first()->expected_slow_) return nullptr;
  counts_.now_waiting(counts_.waiting() - 1);
  return waiting_.take();
}

Task::List Followers::collect() noexcept {
  const std::lock_guard lock(mutex_);
  counts_.collected();
  return std::exchange(returned_, {});
}

Task::List Followers::take_waiting() noexcept {
  const std::lock_guard lock(mutex_);
  counts_.now_waiting(0);
  return std::exchange(waiting_, {});
}

void Followers::enqueue_again(Task::List tasks) noexcept {
  if (tasks.empty()) return;
  const std::lock_guard lock(mutex_);
  Task::List later = std::exchange(waiting_, tasks);
  while (Task* task = later.take()) waiting_.add(*task);
  unsigned count = 0;
  for (const Task* task = waiting_.first(); task != nullptr; task = task->next_) ++count;
  counts_.now_waiting(count);
  handlers_wake_.notify_all();
  standby_wakes_.notify_one();
}

void Followers::handler_freed() noexcept {
  if (threads_ == 1 || counts_.waiting() == 0) return;
  const std::lock_guard lock(mutex_);
  if (!waiting_.empty()) notify_handler();
}

void Followers::offer_baton() noexcept {
  const std::lock_guard lock(mutex_);
  baton_offered_ = true;
  notify_all();
}

void Followers::dismiss() noexcept {
  const std::lock_guard lock(mutex_);
  leaving_ = true;
  notify_all();
}

void Followers::notify_all() noexcept {
  handlers_wake_.notify_all();
  standby_wakes_.notify_all();
}

}  // namespace narwhal::worker
