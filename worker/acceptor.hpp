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

#include <string>
#include <vector>

#include "core/seat.hpp"
#include "worker/relay.hpp"
#include "worker/siblings.hpp"

namespace narwhal::worker {

class Connection;
class Loop;

// The address a listener is bound to, as text; both empty for a Unix socket.
struct LocalAddress {
  std::string address, port;
};

class Acceptor {
 public:
  Acceptor(Loop& loop, const Seat& seat);
  Result<Done> open(const Seat& seat);
  void begin();
  // Stops for good. `sweep`: first takes what waits.
  void end(bool sweep);
  // Something changed: a handler is free, a connection is gone, a tick has passed.
  void reconsider();
  // Requests that siblings have given away: those nobody has taken yet. True when there was one.
  bool take_relayed();
  // Of the listener at this place in the seat; valid for good, any thread.
  const LocalAddress& local_address(std::size_t listener) const noexcept { return local_addresses_[listener]; }
  const Relay& relay() const noexcept { return relay_; }
  const Siblings& siblings() const noexcept { return siblings_; }

 private:
  enum class Verdict { take, wait_a_moment, wait };
  static void on_readable(uv_poll_t* handle, int status, int events) noexcept;
  static void on_moment(uv_timer_t* handle) noexcept;
  Verdict judge() const;
  void accept_some(unsigned count);
  bool accept_one(std::size_t index);  // of listeners_
  void accept_failed(int listener, int reason);
  Connection* connection_for(const Peer& peer) noexcept;  // null: no memory, which the log says
  void rest() noexcept;
  void listen(bool on);

  Loop& loop_;
  std::vector<int> listeners_;
  std::vector<LocalAddress> local_addresses_;
  Fd set_;
  uv_poll_t poll_{};
  uv_timer_t moment_{};
  Siblings siblings_;
  Relay relay_;
  bool open_ = false, begun_ = false, listening_ = false;
  bool resting_ = false;  // until moment_ has passed
  int spare_fd_ = -1;     // given up for a moment when descriptors run out, so that a client can be told
};

}  // namespace narwhal::worker
