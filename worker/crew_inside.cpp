// What a handler does with the loop from inside: takes it back for a moment, or tends it while it waits.
#include <utility>

#include "core/check.hpp"
#include "worker/crew.hpp"

namespace narwhal::worker {

bool Crew::reclaim() noexcept {
  Member* me = me_;
  if (me == nullptr || !me->in_handler || !me->has_baton) return false;
  const bool mine = leave_handler(*me);
  me->in_handler = true;
  return mine;
}

void Crew::release() noexcept {
  NARWHAL_CHECK(me_ != nullptr && me_->has_baton);
  enter_handler(*me_, (me_->phase & inline_bit) != 0);
}

// From here to its end it is counted like the handlers on other threads, for what comes meanwhile has to wait for one.
bool Crew::begin_tending() noexcept {
  if (!reclaim()) return false;
  me_->in_handler = false;
  if (!std::exchange(me_->is_counted, true)) remote_handlers_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void Crew::turn(Work::Turn turn) noexcept {
  work_.settle();
  work_.prepare_to_leave();
  work_.turn(turn);
}

// By a thread that is inside a handler and must not enter another: all that has come waits for other threads. False:
// something has come that only runs where the loop is, so that the loop had to be given away.
bool Crew::hand_out() noexcept {
  if (news_.load(std::memory_order_acquire)) collect();
  while (Task* task = work_.next_ready()) {
    if (!work_.is_inline(*task)) {
      enqueue(*task);
      continue;
    }
    work_.put_back(*task);
    const std::lock_guard lock(mutex_);
    me_->in_handler = true;
    me_->has_baton = false;
    offer_baton();
    return false;
  }
  return true;
}

}  // namespace narwhal::worker
