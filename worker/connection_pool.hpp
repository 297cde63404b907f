// ConnectionPool: the connections of this worker: their memory, their number, and what concerns all of them at once.
// Ownership  add() makes a connection; it goes away by itself, in two steps: removed() when it is closed, free() when libuv
//            has let its handle go.
// Errors     add() throws std::bad_alloc.
// Threads    the holder of the baton.
#pragma once

#include <chrono>
#include <vector>

#include "worker/peer.hpp"

namespace narwhal::worker {

class Connection;
class Loop;

class ConnectionPool {
 public:
  explicit ConnectionPool(Loop& loop);
  ConnectionPool(const ConnectionPool&) = delete;
  ConnectionPool& operator=(const ConnectionPool&) = delete;

  Connection* add(const Peer& peer);
  void removed() noexcept;                     // one of them is closed
  void free(Connection* connection) noexcept;  // its handle is closed too

  unsigned count() const noexcept { return count_; }
  void retire_all(std::chrono::milliseconds grace);  // see Connection::retire()
  void close_all();

 private:
  Loop& loop_;
  std::vector<Connection*> spare_;  // memory without an object in it
  unsigned count_ = 0;
};

}  // namespace narwhal::worker
