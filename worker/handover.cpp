#include "worker/handover.hpp"

#include <algorithm>
#include <new>

namespace narwhal::worker {

Handover::Put Handover::put(ResponseBytes& bytes, Reached reached, std::atomic<bool>* posted) noexcept {
  try {
    if (posted != nullptr) bytes.own_all();  // they are sent after the writer's call has returned
    const std::lock_guard lock(mutex_);
    make_room(bytes.parts());
    move(bytes, reached);
    if (posted == nullptr || posted->exchange(true, std::memory_order_acq_rel)) return Put::done;
    return Put::to_post;
  } catch (const std::bad_alloc&) {
    return Put::no_memory;
  }
}

// So much that moving the parts cannot fail half-way.
void Handover::make_room(std::size_t parts) {
  const std::size_t needed = parts_.size() + parts;
  if (parts_.capacity() < needed) parts_.reserve(std::max(needed, 2 * parts_.capacity()));
}

void Handover::move(ResponseBytes& bytes, Reached reached) noexcept {
  state_.reached = std::max(state_.reached, reached);
  unsent_.fetch_add(bytes.move_to(parts_), std::memory_order_relaxed);
}

Handover::Taken Handover::take(std::vector<Segment>& parts) noexcept {
  const std::lock_guard lock(mutex_);
  parts.swap(parts_);
  return {.has_head = state_.reached != Reached::interim, .ended = state_.reached == Reached::end};
}

Handover::Taken Handover::take_all(std::vector<Segment>& parts, ResponseBytes& rest, Reached reached) {
  const std::lock_guard lock(mutex_);
  make_room(rest.parts());
  move(rest, reached);
  parts.swap(parts_);
  return {.has_head = state_.reached != Reached::interim, .ended = true};
}

bool Handover::drop() noexcept {
  const std::lock_guard lock(mutex_);
  discard_all(parts_);
  return state_.reached == Reached::end;
}

bool Handover::ended() const noexcept {
  const std::lock_guard lock(mutex_);
  return state_.reached == Reached::end;
}

void Handover::wait_until_drained() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return drained() || state_.closed; });
}

// The order of both atomics matters on both sides: either the loop sees the question, or the writer sees the room.
bool Handover::ask_for_room() noexcept {
  room_.store(Room::asked);
  if (unsent_.load() >= low_water()) return false;
  Room asked = Room::asked;
  room_.compare_exchange_strong(asked, Room::unasked);  // if the loop was quicker, its event comes as well
  return true;
}

bool Handover::sent(std::uint64_t bytes) noexcept {
  const std::uint64_t before = unsent_.fetch_sub(bytes);
  if (before < low_water() || before - bytes >= low_water()) return false;
  {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  }
  Room asked = Room::asked;
  return room_.load() == Room::asked && room_.compare_exchange_strong(asked, Room::found);
}

bool Handover::take_room_event() noexcept {
  Room found = Room::found;
  return room_.load(std::memory_order_relaxed) == Room::found && room_.compare_exchange_strong(found, Room::unasked);
}

void Handover::close() noexcept {
  const std::lock_guard lock(mutex_);
  state_.closed = true;
  changed_.notify_all();
}

void Handover::reset() noexcept {
  discard_all(parts_);
  state_ = {};
  unsent_.store(0, std::memory_order_relaxed);
  room_.store(Room::unasked, std::memory_order_relaxed);
}

}  // namespace narwhal::worker
