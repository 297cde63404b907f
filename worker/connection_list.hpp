// ConnectionList: connections that something has still to be done for in this turn of the loop. Each is in it once.
// Ownership  none. A connection that was closed meanwhile is still in it; take() frees it and goes on to the next.
// Threads    the holder of the baton.
#pragma once

#include <utility>

#include "worker/connection.hpp"
#include "worker/connection_pool.hpp"
#include "worker/list.hpp"

namespace narwhal::worker {

// `next`, `listed`: the link and the mark, which are the list's.
template <Connection* Connection::*next, bool Connection::*listed>
class ConnectionList {
 public:
  explicit ConnectionList(ConnectionPool& pool) noexcept : pool_(pool) {}

  bool empty() const noexcept { return list_.empty(); }
  void add(Connection& connection) noexcept {
    if (!std::exchange(connection.*listed, true)) list_.add(connection);
  }
  // The first that is open, or null.
  Connection* take() noexcept {
    while (Connection* const connection = list_.take()) {
      connection->*listed = false;
      if (!connection->closed) return connection;
      pool_.free(connection);
    }
    return nullptr;
  }

 private:
  ConnectionPool& pool_;
  List<Connection, next> list_;
};

}  // namespace narwhal::worker
