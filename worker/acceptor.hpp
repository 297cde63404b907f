// Acceptor: takes connections from the listeners that all workers share, while this worker has use for them.
// Gate     it accepts while it has a free handler. Without one it leaves the connection to a sibling that has one, and when
//          there is no such sibling, takes what its queue has room for. Over worker_connections it takes none.
// Spread   a worker that holds clearly more connections than a sibling waits a few milliseconds before it accepts, so that
//          the sibling gets there first.
// Herd     several workers have the listeners in epoll sets of their own with EPOLLEXCLUSIVE, so a connection wakes one.
// Errors   open() returns them. Later ones are logged; where descriptors or memory run out, it pauses.
// Threads  the holder of the baton; local_address(): any.
#pragma once

#include <uv.h>

#include <atomic>
#include <span>
#include <string>
#include <vector>

#include "core/seat.hpp"
#include "worker/relay.hpp"
#include "worker/siblings.hpp"

namespace narwhal::worker {

class Connection;
class Loop;

// The address that a listener is bound to, as text; both are empty for a Unix socket.
struct LocalAddress {
  std::string address, port;
};

// Who may speak what by a listener.
struct ListenerWire {
  Wire wire = Wire::http;
  const IpRanges* allowed = nullptr;  // null: anybody
};

// What a worker that stops accepting does about the connections that wait in the listeners' queues: other workers accept
// them, or nobody else will and it takes them first.
enum class Backlog : std::uint8_t { leave, take };

class Acceptor {
 public:
  Acceptor(Loop& loop, const Seat& seat);
  Result<Done> open(const Seat& seat);
  void begin();  // also after withhold()
  // Accepts nothing until then. Kept connections are closed after their next answer, so that their clients go elsewhere.
  void withhold();
  bool is_withheld() const noexcept { return withheld_.load(std::memory_order_relaxed); }  // any thread
  void end(Backlog backlog);                                                               // for good
  // Something has changed: a handler is free, a connection is gone, a tick has passed.
  void reconsider();
  // Takes requests that siblings have given away and nobody has taken yet. True when there was one.
  bool take_relayed();
  // Of the listener at this place in the seat. Valid for good.
  const LocalAddress& local_address(std::size_t listener) const noexcept { return local_addresses_[listener]; }
  const Relay& relay() const noexcept { return relay_; }
  const Siblings& siblings() const noexcept { return siblings_; }

 private:
  enum class Verdict : std::uint8_t { accept, delay, wait };
  // Descriptors that all workers watch, in an epoll set of their own: what comes by one wakes one of them. A worker that is
  // alone watches its descriptor without a set, which costs a connection less.
  struct Watched {
    Result<Done> open(Acceptor& owner, std::span<const int> descriptors);
    Fd set{};
    uv_poll_t poll{};
  };
  static void on_readable(uv_poll_t* handle, int status, int events) noexcept;
  static void on_relayed(uv_poll_t* handle, int status, int events) noexcept;
  static void on_timer(uv_timer_t* handle) noexcept;
  Verdict judge() const;
  void accept_some(unsigned count);
  bool accept_one(std::size_t index);  // of listeners_; false: there is none to accept now
  void accept_failed(int reason);
  Connection* connection_for(const Peer& peer) noexcept;  // null: no memory, which is logged
  void pause() noexcept;
  void start_listening();
  void stop_listening();

  Loop& loop_;
  std::vector<int> listeners_;
  std::vector<LocalAddress> local_addresses_;
  std::vector<ListenerWire> wires_;  // of listeners_
  Watched connecting_, relayed_;     // apart, so that a connection does not cost a look at the relay
  uv_timer_t timer_{};               // of a delay or a pause
  Siblings siblings_;
  Relay relay_;
  bool open_ = false, begun_ = false, listening_ = false;
  std::atomic<bool> withheld_{false};
  bool paused_ = false;  // until timer_ has run out
};

}  // namespace narwhal::worker
