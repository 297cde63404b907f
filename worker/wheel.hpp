// Wheel: the time limits of connections. Setting one is a store and a compare: an entry that is due later than
// its place on the wheel says stays where it is and is moved only when the hand gets there.
// Units    milliseconds of the loop's clock (uv_now).
// Threads  whoever holds the baton.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

namespace narwhal::worker {

struct WheelEntry {
  static constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();
  WheelEntry *before = nullptr, *after = nullptr;  // null: not on the wheel
  std::uint64_t due = never;                       // when it really is due
  std::uint64_t placed = never;                    // the instant its place stands for
};

class Wheel {
 public:
  static constexpr std::uint64_t tick = 250;
  static constexpr std::uint64_t slots = 512;

  Wheel() noexcept {
    for (WheelEntry& head : heads_) head.before = head.after = &head;
  }
  Wheel(const Wheel&) = delete;
  Wheel& operator=(const Wheel&) = delete;

  void start(std::uint64_t now) noexcept { hand_ = now / tick; }

  void set(WheelEntry& entry, std::uint64_t due) noexcept {
    entry.due = due;
    if (due < entry.placed) place(entry);
  }
  static void clear(WheelEntry& entry) noexcept { entry.due = WheelEntry::never; }
  static void remove(WheelEntry& entry) noexcept {
    if (entry.after == nullptr) return;
    entry.before->after = entry.after;
    entry.after->before = entry.before;
    entry.before = entry.after = nullptr;
    entry.due = entry.placed = WheelEntry::never;
  }

  // Calls expired(entry) for each that is due; entries may be set, removed or freed from there.
  template <class Expired>
  void advance(std::uint64_t now, Expired&& expired) {
    const std::uint64_t target = now / tick;
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
        const std::uint64_t when = entry.due;
        remove(entry);
        if (when == WheelEntry::never) continue;
        entry.due = when;
        if (when <= now) {
          entry.due = WheelEntry::never;
          expired(entry);
        } else {
          place(entry);
        }
      }
    }
  }

 private:
  void place(WheelEntry& entry) noexcept {
    const std::uint64_t due = entry.due;
    remove(entry);
    entry.due = due;
    // One tick later than exact: a limit may be passed by a tick but never fall short.
    std::uint64_t at = due / tick + 1;
    if (at <= hand_) at = hand_ + 1;
    if (at >= hand_ + slots) at = hand_ + slots - 1;
    entry.placed = at * tick;
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
