#include "worker/crew.hpp"

#include <chrono>
#include <system_error>
#include <utility>

namespace narwhal::worker {

using namespace std::chrono_literals;

namespace {
constexpr auto watch_period = 1ms;  // how long a handler may keep the loop waiting
constexpr int quiet_looks_max = 10;
constexpr auto sleeping_look = 1s;  // inline handlers wake nobody, so a sleeping standby looks by itself
}  // namespace

thread_local Crew::Member* Crew::me_ = nullptr;

Crew::Crew(Work& work, unsigned threads, std::chrono::milliseconds inline_patience)
    : work_(work), threads_(threads), inline_patience_(inline_patience) {
  for (unsigned index = 0; index <= threads; ++index) {
    members_.push_back(std::make_unique<Member>());
    members_.back()->index = index;
  }
}

Crew::~Crew() {
  for (auto& member : members_) {
    // Only after a failed start, or when a handler is stuck for good: the process is about to end.
    if (member->thread.joinable()) member->thread.detach();
  }
}

bool Crew::start() {
  me_ = members_[0].get();
  bool good = work_.thread_started(0);
  std::unique_lock lock(mutex_);
  for (std::size_t index = 1; good && index < members_.size(); ++index) {
    Member& member = *members_[index];
    ++starting_;
    try {
      member.thread = std::thread([this, &member] { live(member); });
    } catch (const std::system_error&) {  // a limit on threads
      --starting_;
      good = false;
    }
  }
  started_.wait(lock, [this] { return starting_ == 0; });
  return good && failed_ == 0;
}

void Crew::live(Member& me) {
  me_ = &me;
  const bool ready = !may_handle(me) || work_.thread_started(me.index);
  {
    const std::lock_guard lock(mutex_);
    --starting_;
    if (!ready) ++failed_;
    started_.notify_all();
  }
  if (!ready) return;
  serve(me);
  if (may_handle(me)) work_.thread_ends(me.index);
}

void Crew::run() {
  {
    const std::lock_guard lock(mutex_);
    baton_wanted_ = false;
    slow_mode_ = false;
    members_[0]->has_baton = true;
  }
  tend(*members_[0]);
  serve(*members_[0]);
  for (auto& member : members_) {
    if (member->thread.joinable()) member->thread.join();
  }
  work_.thread_ends(0);
}

// What a thread does that does not hold the baton: run what waits, take over the loop, or stand by.
void Crew::serve(Member& me) {
  std::unique_lock lock(mutex_);
  while (!leaving_) {
    if (may_handle(me) && !waiting_.empty() && remote_handlers_ < threads_ && !prefers_baton(me)) {
      if (me.index == 0 && threads_ == 1) {
        baton_wanted_ = false;
        if (baton_offered_) standby_wakes_.notify_one();  // it was meant for this thread; now it is anybody's
      }
      run_without_baton(me, lock);
    } else if (baton_offered_ && !(baton_wanted_ && me.index != 0)) {
      baton_offered_ = baton_wanted_ = false;
      me.has_baton = true;
      lock.unlock();
      tend(me);
      lock.lock();
    } else if (wants_baton(me) && !baton_wanted_ && !baton_offered_) {
      baton_wanted_ = true;
      work_.wake();
    } else if (!standby_present_) {
      if (!watch(me, lock)) continue;
      lock.unlock();
      tend(me);
      lock.lock();
    } else {
      ++idle_handlers_;
      handlers_wake_.wait(lock);
      --idle_handlers_;
    }
  }
}

// With one handler thread, quick handlers must run where the loop is: on the main thread.
bool Crew::wants_baton(const Member& me) const { return threads_ == 1 && me.index == 0 && !slow_mode_; }

// Also while requests keep coming: run without the baton, each of them would cost a thread switch, and the queue might
// never be empty again. Not while the holder is in a handler of its own: who knows for how long.
bool Crew::prefers_baton(const Member& me) const {
  return wants_baton(me) && !waiting_.first()->expected_slow_ &&
         (phase_.load(std::memory_order_relaxed) & in_handler_bit) == 0;
}

void Crew::tend(Member& me) {
  work_.settle();  // the last holder may have held back answers before it entered its handler
  while (true) {
    if (news_.load(std::memory_order_acquire)) collect();
    while (Task* task = take_quick(me)) {
      if (!run_with_baton(me, *task, true)) return;
    }
    while (Task* task = work_.next_ready()) {
      if (!may_run_here(me, *task)) {
        enqueue(*task);
      } else if (!run_with_baton(me, *task, false)) {
        return;
      }
    }
    work_.settle();
    work_.prepare_to_leave();
    if (work_.finished() && !news_.load(std::memory_order_acquire)) {
      const std::lock_guard lock(mutex_);
      leaving_ = true;
      me.has_baton = false;
      handlers_wake_.notify_all();
      standby_wakes_.notify_all();
      return;
    }
    if (should_part(me)) {
      const std::lock_guard lock(mutex_);
      offer_baton();
      me.has_baton = false;
      return;
    }
    if (!news_.load(std::memory_order_acquire)) work_.turn(Work::Turn::waits);
  }
}

// [baton] With one handler thread: what waits for the main thread without the baton, which now has it. (With more, the
// others take it from the queue.)
Task* Crew::take_quick(const Member& me) noexcept {
  if (threads_ != 1 || me.index != 0 || waiting_count_.load(std::memory_order_relaxed) == 0) return nullptr;
  const std::lock_guard lock(mutex_);
  return waiting_.empty() || waiting_.first()->expected_slow_ ? nullptr : &take_first();
}

// Locked.
Task& Crew::take_first() noexcept {
  Task& task = *waiting_.take();
  count_waiting(-1);
  return task;
}

// Locked.
void Crew::count_waiting(int change) noexcept {
  waiting_count_.store(waiting_count_.load(std::memory_order_relaxed) + static_cast<unsigned>(change),
                       std::memory_order_release);
}

// With one handler thread, the main thread gives the loop away when a request waits that only it may run, and
// gets it back when it asks for it.
bool Crew::should_part(const Member& me) const noexcept {
  if (threads_ != 1) return false;
  if (me.index != 0) return baton_wanted_.load();
  return waiting_count_.load(std::memory_order_relaxed) != 0 && remote_handlers_.load(std::memory_order_relaxed) == 0;
}

bool Crew::may_run_here(const Member& me, const Task& task) const {
  if (work_.is_inline(task)) return true;
  if (waiting_count_.load(std::memory_order_acquire) != 0) return false;  // first come, first served
  if (!may_handle(me) || remote_handlers_.load(std::memory_order_relaxed) >= threads_) return false;
  return !work_.expected_slow(task);
}

bool Crew::run_with_baton(Member& me, Task& task, bool has_waited) {
  me.is_counted = false;
  enter_handler(me, work_.is_inline(task));
  const int result = work_.handle(task, me.index, {.with_baton = true, .has_waited = has_waited});
  if (leave_handler(me)) {
    if (me.is_counted) free_place();
    work_.completed(task, result);
    return true;
  }
  const std::lock_guard lock(mutex_);
  post(task, result);
  return false;
}

// A handler that was counted has come back to the loop: another may begin.
void Crew::free_place() noexcept {
  remote_handlers_.fetch_sub(1, std::memory_order_release);
  if (threads_ == 1 || waiting_count_.load(std::memory_order_relaxed) == 0) return;
  const std::lock_guard lock(mutex_);
  if (!waiting_.empty()) notify_handler();
}

void Crew::run_without_baton(Member& me, std::unique_lock<std::mutex>& lock) {
  // In this order, and read in the other: nobody may see both "none waits" and "a handler is free" in between.
  remote_handlers_.fetch_add(1, std::memory_order_relaxed);
  Task& task = take_first();
  lock.unlock();
  me.in_handler = true;
  const int result = work_.handle(task, me.index, {.with_baton = false, .has_waited = true});
  me.in_handler = false;
  lock.lock();
  post(task, result);
}

// Locked. A handler has ended on a thread without the baton.
void Crew::post(Task& task, int result) noexcept {
  task.result_ = result;
  completed_.add(task);
  news_.store(true, std::memory_order_release);
  remote_handlers_.fetch_sub(1, std::memory_order_release);  // last: who sees no handler left sees the news too
  work_.wake();
}

// [baton] No handler may run it here: it waits for a thread.
void Crew::enqueue(Task& task) noexcept {
  const std::lock_guard lock(mutex_);
  task.expected_slow_ = work_.expected_slow(task);
  slow_mode_ = task.expected_slow_;
  waiting_.add(task);
  count_waiting(1);
  notify_handler();
}

// Locked. Wakes one thread more for what waits. A thread that was woken counts as idle until it runs.
void Crew::notify_handler() noexcept {
  if (waiting() <= idle_handlers_) {
    handlers_wake_.notify_one();
  } else {
    standby_wakes_.notify_one();
  }
}

// [baton] What handlers on other threads have finished.
void Crew::collect() noexcept {
  Task::List collected;
  {
    const std::lock_guard lock(mutex_);
    collected = std::exchange(completed_, {});
    news_.store(false, std::memory_order_relaxed);
  }
  while (Task* task = collected.take()) work_.completed(*task, task->result_);
}

// Locked. The loop needs somebody.
void Crew::offer_baton() noexcept {
  baton_offered_ = true;
  handlers_wake_.notify_all();
  standby_wakes_.notify_all();
}

void Crew::enter_handler(Member& me, bool is_inline) noexcept {
  me.in_handler = true;
  const std::uint64_t sequence = (phase_.load(std::memory_order_relaxed) & ~all_bits) + sequence_one;
  me.phase = sequence | in_handler_bit | (is_inline ? inline_bit : 0) | (me.is_counted ? counted_bit : 0);
  // Sequentially consistent with the standby's "I sleep, then look once more": one of us sees the other.
  phase_.store(me.phase, std::memory_order_seq_cst);
  if (!is_inline && standby_asleep_.load(std::memory_order_seq_cst)) wake_standby();
}

bool Crew::leave_handler(Member& me) noexcept {
  me.in_handler = false;
  if (!me.has_baton) return false;
  std::uint64_t mine = me.phase;
  me.has_baton = phase_.compare_exchange_strong(mine, (mine & ~all_bits) + sequence_one, std::memory_order_acq_rel,
                                                std::memory_order_relaxed);
  return me.has_baton;
}

void Crew::wake_standby() noexcept {
  const std::lock_guard lock(mutex_);
  standby_asleep_.store(false, std::memory_order_relaxed);
  standby_wakes_.notify_one();
}

// Locked. Stands by: true when it has taken the baton, false when there may be something else to do.
bool Crew::watch(Member& me, std::unique_lock<std::mutex>& lock) {
  standby_present_ = true;
  Sight sight;
  bool taken = false;
  while (!taken) {
    wait_to_look(sight, lock);
    if (leaving_ || baton_offered_ || (may_handle(me) && !waiting_.empty() && remote_handlers_ < threads_)) break;
    if (wants_baton(me) && !baton_wanted_ && remote_handlers_ == 0) break;
    taken = keeps_waiting(sight) && take_baton(me, sight.phase);
  }
  standby_present_ = false;
  // Somebody must stand by as soon as this thread does something else.
  handlers_wake_.notify_one();
  return taken;
}

// Locked. A standby that has seen nothing for a while sleeps until a handler begins.
void Crew::wait_to_look(const Sight& sight, std::unique_lock<std::mutex>& lock) {
  const bool sleeps = sight.quiet_looks >= quiet_looks_max;
  if (sleeps) standby_asleep_.store(true, std::memory_order_seq_cst);
  const std::uint64_t phase = phase_.load(std::memory_order_seq_cst);
  if (!sleeps || (phase & (in_handler_bit | inline_bit)) != in_handler_bit) {
    standby_wakes_.wait_for(lock, sleeps ? std::chrono::milliseconds(sleeping_look) : watch_period);
  }
  standby_asleep_.store(false, std::memory_order_relaxed);
}

// Whether the handler that was there at the last look still keeps the loop waiting, and may not.
bool Crew::keeps_waiting(Sight& sight) const noexcept {
  const std::uint64_t phase = phase_.load(std::memory_order_acquire);
  const bool is_same = std::exchange(sight.phase, phase) == phase;
  const Instant now = narwhal::now();
  if (!is_same) sight.since = now;
  const bool in_handler = (phase & in_handler_bit) != 0, is_inline = (phase & inline_bit) != 0;
  if (in_handler && is_same && (!is_inline || now - sight.since >= inline_patience_)) return true;
  const bool is_quiet = in_handler ? is_inline : is_same;  // nothing that this thread would be needed for soon
  sight.quiet_looks = is_quiet ? sight.quiet_looks + 1 : 0;
  return false;
}

// Locked. From the holder, if it is still where it was seen: in a handler, which is from now on one on another thread.
bool Crew::take_baton(Member& me, std::uint64_t seen) noexcept {
  std::uint64_t phase = seen;
  if (!phase_.compare_exchange_strong(phase, (seen & ~all_bits) + sequence_one, std::memory_order_acq_rel,
                                      std::memory_order_relaxed)) {
    return false;
  }
  if ((seen & counted_bit) == 0) remote_handlers_.fetch_add(1, std::memory_order_relaxed);
  me.has_baton = true;
  if (me.index == 0) baton_wanted_ = false;  // else nobody could take it over from this thread
  return true;
}

unsigned Crew::handling() const noexcept { return remote_handlers_.load(std::memory_order_acquire); }

unsigned Crew::free_handlers() const noexcept {
  const unsigned taken = handling() + waiting();
  return taken >= threads_ ? 0 : threads_ - taken;
}

Task::List Crew::take_waiting() noexcept {
  const std::lock_guard lock(mutex_);
  waiting_count_.store(0, std::memory_order_relaxed);
  return std::exchange(waiting_, {});
}

void Crew::enqueue_again(Task::List tasks) noexcept {
  if (tasks.empty()) return;
  const std::lock_guard lock(mutex_);
  Task::List later = std::exchange(waiting_, tasks);
  while (Task* task = later.take()) waiting_.add(*task);
  unsigned count = 0;
  for (const Task* task = waiting_.first(); task != nullptr; task = task->next_) ++count;
  waiting_count_.store(count, std::memory_order_relaxed);
  handlers_wake_.notify_all();
  standby_wakes_.notify_one();
}

}  // namespace narwhal::worker
