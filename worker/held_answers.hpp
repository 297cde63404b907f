// HeldAnswers: connections whose answers, or parts of answers, wait to leave together with others.
// Why      to wake a client (or a proxy on this machine) for its answer costs as much as many a request, and while a
//          handler takes its time, the client falls asleep after each. So while requests wait anyway, answers leave
//          together. A quicker handler keeps its clients awake; a client whose answer was held for longer would miss it.
// Threads  the holder of the baton.
#pragma once

#include <chrono>

#include "core/clock.hpp"
#include "worker/connection_list.hpp"

namespace narwhal::worker {

class HeldAnswers {
 public:
  explicit HeldAnswers(ConnectionPool& pool) noexcept : list_(pool) {}

  // A handler has returned. `usual`: how long those of its application usually take.
  void handler_returned(std::chrono::nanoseconds usual) noexcept { handlers_are_slow_ = usual > slow; }
  bool handlers_are_slow() const noexcept { return handlers_are_slow_; }

  void add(Connection& connection, Instant now) noexcept {
    if (oldest_ == unset) oldest_ = now;
    list_.add(connection);
  }
  // The oldest has waited for long enough.
  bool overdue(Instant now) const noexcept { return handlers_are_slow_ && oldest_ != unset && now - oldest_ > limit; }
  void flush() noexcept {
    oldest_ = unset;
    while (Connection* const connection = list_.take()) connection->flush_held();
  }

 private:
  static constexpr std::chrono::microseconds slow{20}, limit{500};

  ConnectionList<&Connection::next_holding, &Connection::holds_answer> list_;
  Instant oldest_ = unset;
  bool handlers_are_slow_ = false;
};

}  // namespace narwhal::worker
