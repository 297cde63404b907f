#include "worker/crew.hpp"

#include <system_error>
#include <utility>

#include "core/check.hpp"

namespace narwhal::worker {

thread_local Crew::Member* Crew::me_ = nullptr;

// ---- the threads ----

Crew::Crew(CrewWork& work, unsigned threads, std::chrono::milliseconds inline_patience)
    : work_(work), counts_(threads), followers_(work, baton_, counts_, threads, inline_patience) {
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
  me_ = nullptr;  // of the main thread, which ends this
}

bool Crew::start() {
  me_ = members_[0].get();
  bool good = work_.thread_started(0);
  std::vector<std::future<bool>> started;
  for (std::size_t index = 1; good && index < members_.size(); ++index) {
    Member& member = *members_[index];
    std::promise<bool> ready;
    std::future<bool> is_ready = ready.get_future();
    try {
      member.thread =
          std::thread([this, &member, ready = std::move(ready)]() mutable { live(member, std::move(ready)); });
      started.push_back(std::move(is_ready));
    } catch (const std::system_error&) {  // a limit on threads
      good = false;
    }
  }
  for (auto& thread : started) good = thread.get() && good;
  return good;
}

void Crew::live(Member& me, std::promise<bool> ready) {
  me_ = &me;
  const bool good = work_.thread_started(me.index);
  ready.set_value(good);
  if (!good) return;
  serve(me);
  work_.thread_ends(me.index);
}

void Crew::run() {
  members_[0]->has_baton = true;
  serve(*members_[0]);
  for (auto& member : members_) {
    if (member->thread.joinable()) member->thread.join();
  }
  work_.thread_ends(0);
}

void Crew::serve(Member& me) {
  Task* handled = me.has_baton ? tend(me) : nullptr;  // a task whose handler has lost the baton, or never had it
  while (true) {
    const Followers::Duty duty = followers_.next_duty(me.index, handled);
    switch (duty.kind) {
      case Followers::Duty::Kind::handle:
        run_without_baton(me, *duty.task);
        handled = duty.task;
        break;
      case Followers::Duty::Kind::tend:
        me.has_baton = true;
        handled = tend(me);
        break;
      case Followers::Duty::Kind::leave: return;
    }
  }
}

// ---- the holder of the baton ----

// Returns when this thread does not hold the baton any more. If that was lost in a handler, with the handler's task.
Task* Crew::tend(Member& me) {
  work_.settle();  // the last holder may have held back answers before it entered its handler
  while (true) {
    if (counts_.any_returned()) collect();
    while (Task* task = followers_.take_quick(me.index)) {
      if (!run_with_baton(me, *task, true)) return task;
    }
    while (Task* task = work_.next_ready()) {
      if (!may_run_here(me, *task)) {
        followers_.enqueue(*task, work_.expected_slow(*task));
      } else if (!run_with_baton(me, *task, false)) {
        return task;
      }
    }
    work_.settle();
    work_.prepare_to_leave();
    if (work_.finished() && counts_.idle()) {
      me.has_baton = false;
      followers_.dismiss();
      return nullptr;
    }
    if (followers_.wants_baton_from(me.index)) {
      me.has_baton = false;
      followers_.offer_baton();
      return nullptr;
    }
    if (!counts_.any_returned()) work_.turn(CrewWork::Turn::waits);
  }
}

// [baton] What handlers on other threads have finished.
void Crew::collect() noexcept {
  Task::List collected = followers_.collect();
  while (Task* task = collected.take()) work_.completed(*task, task->result_);
}

bool Crew::may_run_here(const Member& me, const Task& task) const {
  if (work_.is_inline(task)) return true;
  if (counts_.waiting() != 0) return false;  // first come, first served
  return followers_.may_handle(me.index) && counts_.another_may_begin() && !work_.expected_slow(task);
}

// False: the baton was taken meanwhile.
bool Crew::run_with_baton(Member& me, Task& task, bool has_waited) {
  me.is_counted = false;
  enter_handler(me, work_.is_inline(task));
  const int result = work_.handle(task, me.index, {.with_baton = true, .has_waited = has_waited});
  if (!leave_handler(me)) {
    task.result_ = result;
    return false;
  }
  if (me.is_counted) {
    counts_.remove_handler();
    followers_.handler_freed();
  }
  work_.completed(task, result);
  return true;
}

void Crew::run_without_baton(Member& me, Task& task) {
  me.in_handler = true;
  task.result_ = work_.handle(task, me.index, {.with_baton = false, .has_waited = true});
  me.in_handler = false;
}

void Crew::enter_handler(Member& me, bool is_inline) noexcept {
  me.in_handler = true;
  me.phase = baton_.enter({.is_inline = is_inline, .is_counted = me.is_counted});
  if (!is_inline && baton_.standby_sleeps()) followers_.wake_standby();
}

bool Crew::leave_handler(Member& me) noexcept {
  me.in_handler = false;
  if (!me.has_baton) return false;
  const bool is_mine = baton_.leave(me.phase);
  if (!is_mine) me.has_baton = false;
  return is_mine;
}

// A member that has lost the baton in its handler still believes to have it.
std::optional<Crew::Holder> Crew::holder() const noexcept {
  const Baton::Phase seen = baton_.seen();
  std::optional<Holder> found;
  for (const auto& member : members_) {
    if (!member->has_baton) continue;
    if (!member->in_handler) return Holder{member->index, false};
    if (seen.in_handler() && member->phase == seen) found = Holder{member->index, true};
  }
  return found;
}

// ---- a handler that wants the loop: for a moment, or to run it while it waits ----

bool Crew::reclaim() noexcept {
  Member* me = me_;
  if (me == nullptr || !me->in_handler || !me->has_baton) return false;
  const bool mine = leave_handler(*me);
  me->in_handler = true;
  return mine;
}

void Crew::release() noexcept {
  NARWHAL_CHECK(me_ != nullptr && me_->has_baton);
  enter_handler(*me_, Baton::Phase(me_->phase).is_inline());
}

// From here to its end the handler is counted like those on other threads, because what arrives meanwhile has to wait for
// one of them.
bool Crew::begin_tending() noexcept {
  if (!reclaim()) return false;
  me_->in_handler = false;
  if (!std::exchange(me_->is_counted, true)) counts_.add_handler();
  return true;
}

void Crew::turn(CrewWork::Turn turn) noexcept {
  work_.settle();
  work_.prepare_to_leave();
  work_.turn(turn);
}

// The caller is inside a handler and must not enter another, so what has arrived waits for other threads. False: something
// has arrived that only runs beside the loop, so the baton was given away.
bool Crew::hand_out() noexcept {
  if (counts_.any_returned()) collect();
  while (Task* task = work_.next_ready()) {
    if (!work_.is_inline(*task)) {
      followers_.enqueue(*task, work_.expected_slow(*task));
      continue;
    }
    work_.put_back(*task);
    me_->in_handler = true;
    me_->has_baton = false;
    followers_.offer_baton();
    return false;
  }
  return true;
}

}  // namespace narwhal::worker
