// Wheel: a timer wheel for the time limits of connections. Setting one is a store and a compare: an entry that is due later
// than its place on the wheel says stays where it is, and is moved only when the hand gets there.
// Ownership  none: it links entries that belong to others. One is taken off by remove() before it is freed.
// Errors     none: the links are in the entries, so that setting one needs no memory.
// Threads    the holder of the baton.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "core/clock.hpp"

namespace narwhal::worker {

struct WheelEntry {
  WheelEntry *before = nullptr, *after = nullptr;  // null: not on the wheel
  Instant due = never;                             // when it really is due
  Instant placed = never;                          // the instant its place stands for
};

class Wheel {
 public:
  static constexpr std::chrono::milliseconds tick{250};
  static constexpr std::uint64_t slots = 512;

  Wheel() noexcept {
    for (WheelEntry& head : heads_) head.before = head.after = &head;
  }
  Wheel(const Wheel&) = delete;
  Wheel& operator=(const Wheel&) = delete;

  void start(Instant now) noexcept { hand_ = ticks(now); }

  void set(WheelEntry& entry, Instant due) noexcept {
    entry.due = due;
    if (due < entry.placed) place(entry);
  }
  static void clear(WheelEntry& entry) noexcept { entry.due = never; }
  static void remove(WheelEntry& entry) noexcept {
    if (entry.after == nullptr) return;
    entry.before->after = entry.after;
    entry.after->before = entry.before;
    entry.before = entry.after = nullptr;
    entry.due = entry.placed = never;
  }

  // Calls expired(entry) for each that is due; entries may be set, removed or freed from there.
  template <class Expired>
  void advance(Instant now, Expired&& expired) {
    const std::uint64_t target = ticks(now);
    // After a long stall every slot is visited once, not once for each tick that was missed.
    if (target - hand_ > slots) hand_ = target - slots;
    while (hand_ < target) {
      ++hand_;
      WheelEntry& head = heads_[hand_ % slots];
      WheelEntry due;  // the slot's list is taken over first, so that entries set again cannot be met twice
      if (head.after == &head) continue;
      due.after = head.after, due.before = head.before;
      due.after->before = due.before->after = &due;
      head.before = head.after = &head;
      while (due.after != &due) {
        WheelEntry& entry = *due.after;
        const Instant when = entry.due;
        remove(entry);
        if (when == never) continue;
        entry.due = when;
        if (when <= now) {
          entry.due = never;
          expired(entry);
        } else {
          place(entry);
        }
      }
    }
  }

 private:
  static std::uint64_t ticks(Instant instant) noexcept {
    return static_cast<std::uint64_t>(instant.time_since_epoch() / tick);
  }
  void place(WheelEntry& entry) noexcept {
    const Instant due = entry.due;
    remove(entry);
    entry.due = due;
    // One tick later than exact: a limit may be passed by a tick but never fall short.
    std::uint64_t at = ticks(due) + 1;
    if (at <= hand_) at = hand_ + 1;
    if (at >= hand_ + slots) at = hand_ + slots - 1;
    entry.placed = unset + static_cast<std::int64_t>(at) * tick;
    WheelEntry& head = heads_[at % slots];
    entry.before = head.before;
    entry.after = &head;
    head.before->after = &entry;
    head.before = &entry;
  }

  std::array<WheelEntry, slots> heads_;
  std::uint64_t hand_ = 0;
};

}  // namespace narwhal::worker
