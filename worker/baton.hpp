// Baton: the right to run the event loop, as one atomic word.
// How      the word changes when the holder enters a handler and when it leaves it, so each stay in a handler has a value
//          of its own. While the holder is inside, another thread may take the baton by a compare-and-swap of that value.
//          The holder comes back by a compare-and-swap of the same value: exactly one of the two succeeds.
// Order    both acquire and release. So what the loop owns is touched by one thread at a time, with a happens-before at
//          each change of hands.
// Outside  of handlers the word does not say who the holder is. The holder then gives the baton away by
//          Followers::offer_baton(), under the mutex there.
// Cost     a handler costs one exchange (enter) and one compare-and-swap (leave), no lock and no system call.
#pragma once

#include <atomic>
#include <cstdint>

namespace narwhal::worker {

class Baton {
  static constexpr std::uint64_t in_handler_bit = 1, inline_bit = 2, counted_bit = 4, all_bits = 7, sequence_one = 8;

 public:
  struct Handler {
    bool is_inline;
    bool is_counted;  // in TaskCounts::handling() already
  };
  class Phase {  // a value of the word
   public:
    Phase() = default;
    bool in_handler() const noexcept { return (word_ & in_handler_bit) != 0; }
    bool is_inline() const noexcept { return (word_ & inline_bit) != 0; }
    bool is_counted() const noexcept { return (word_ & counted_bit) != 0; }
    bool in_ordinary_handler() const noexcept { return (word_ & (in_handler_bit | inline_bit)) == in_handler_bit; }
    bool operator==(const Phase&) const = default;

   private:
    friend class Baton;
    explicit Phase(std::uint64_t word) noexcept : word_(word) {}
    Phase next() const noexcept { return Phase((word_ & ~all_bits) + sequence_one); }  // outside of handlers

    std::uint64_t word_ = 0;
  };

  // ---- the holder ----
  // From now on, the baton can be taken. leave() wants what this returns.
  Phase enter(Handler handler) noexcept {
    Phase mine = seen(std::memory_order_relaxed).next();
    mine.word_ |= in_handler_bit | (handler.is_inline ? inline_bit : 0) | (handler.is_counted ? counted_bit : 0);
    word_.store(mine.word_, std::memory_order_seq_cst);  // pairs with standby_may_sleep()
    return mine;
  }
  // False: the baton has been taken.
  bool leave(Phase mine) noexcept { return replace(mine); }
  // Asked after enter(): if so, an ordinary handler has to wake the standby.
  bool standby_sleeps() const noexcept { return standby_sleeps_.load(std::memory_order_seq_cst); }

  // ---- another thread ----
  Phase seen(std::memory_order order = std::memory_order_acquire) const noexcept { return Phase(word_.load(order)); }
  // From the holder, if it was seen in a handler and is still in the same one.
  bool take(Phase from) noexcept { return from.in_handler() && replace(from); }
  // Announces that the standby sleeps; false when an ordinary handler has begun, which the standby has to watch. All four
  // accesses are sequentially consistent: either the holder sees the announcement, or this sees the handler.
  bool standby_may_sleep() noexcept {
    standby_sleeps_.store(true, std::memory_order_seq_cst);
    return !seen(std::memory_order_seq_cst).in_ordinary_handler();
  }
  void standby_woke() noexcept { standby_sleeps_.store(false, std::memory_order_relaxed); }

 private:
  bool replace(Phase phase) noexcept {
    return word_.compare_exchange_strong(phase.word_, phase.next().word_, std::memory_order_acq_rel,
                                         std::memory_order_relaxed);
  }

  std::atomic<std::uint64_t> word_{0};  // a sequence number, and the bits
  std::atomic<bool> standby_sleeps_{false};
};

}  // namespace narwhal::worker
