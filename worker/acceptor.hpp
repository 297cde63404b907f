// Acceptor: takes connections from the listeners that all workers share, while this worker has use for them.
// Gate     it accepts while it has a free handler; with none it leaves the connection to a sibling that has one,
//          and only when there is no such sibling takes what its queue has room for. Over worker_connections it
//          takes none.
// Spread   a worker that holds clearly more connections than a sibling waits a moment before it accepts, so that
//          the sibling gets there first.
// Herd     the listeners sit in an epoll set of their own with EPOLLEXCLUSIVE, so a connection wakes one worker.
// Threads  whoever holds the baton.
#pragma once

#include <uv.h>

#include <vector>

#include "core/seat.hpp"

namespace narwhal::worker {

class Loop;

class Acceptor {
 public:
  explicit Acceptor(Loop& loop) noexcept : loop_(loop) {}
  Result<Done> open(const Seat& seat);
  void begin();
  // Stops for good. `sweep`: first takes what waits.
  void end(bool sweep);
  // Something changed: a handler is free, a connection is gone, a tick has passed.
  void reconsider();

 private:
  enum class Verdict { take, wait_a_moment, wait };
  static void on_readable(uv_poll_t* handle, int status, int events) noexcept;
  static void on_moment(uv_timer_t* handle) noexcept;
  Verdict judge() const;
  void accept_some(unsigned count);
  bool accept_one(int listener);
  void listen(bool on);

  Loop& loop_;
  std::vector<int> listeners_;
  Fd set_;
  uv_poll_t poll_{};
  uv_timer_t moment_{};
  Scoreboard* scoreboard_ = nullptr;
  std::uint32_t slot_ = 0;
  std::uint64_t generation_ = 0;
  bool open_ = false, begun_ = false, listening_ = false;
  int spare_fd_ = -1;  // given up for a moment when descriptors run out, so that a client can be told
};

}  // namespace narwhal::worker
