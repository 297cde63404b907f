#include "worker/connection_pool.hpp"

#include <uv.h>

#include <atomic>
#include <new>

#include "worker/connection.hpp"
#include "worker/loop.hpp"

namespace narwhal::worker {

namespace {

constexpr std::size_t spare_max = 256;

// Every open connection of the loop.
template <class Act>
void for_each(uv_loop_t* loop, Act act) {
  uv_walk(
      loop,
      [](uv_handle_t* handle, void* argument) {
        const bool is_connection = handle->type == UV_TCP || handle->type == UV_NAMED_PIPE;
        if (is_connection && !uv_is_closing(handle)) {
          (*static_cast<Act*>(argument))(*static_cast<Connection*>(handle->data));
        }
      },
      &act);
}

}  // namespace

ConnectionPool::ConnectionPool(Loop& loop) : loop_(loop) { spare_.reserve(spare_max); }

Connection* ConnectionPool::add(const Peer& peer) {
  void* room;
  if (spare_.empty()) {
    room = ::operator new(sizeof(Connection));
  } else {
    room = spare_.back();
    spare_.pop_back();
  }
  Connection* made;
  try {
    made = new (room) Connection(loop_, peer);
  } catch (const std::bad_alloc&) {
    ::operator delete(room);
    throw;
  }
  ++count_;
  loop_.slot().connections.store(count_, std::memory_order_relaxed);
  loop_.counters().connection_accepted();
  return made;
}

void ConnectionPool::removed() noexcept {
  --count_;
  loop_.slot().connections.store(count_, std::memory_order_relaxed);
  loop_.acceptor().reconsider();
}

// A callback of the same turn may have closed what another has put in a list: taking it from the list calls this again.
void ConnectionPool::free(Connection* connection) noexcept {
  connection->closed = true;
  if (connection->is_readable || connection->holds_answer || connection->is_unwatched) return;
  connection->~Connection();
  if (spare_.size() < spare_max) {
    spare_.push_back(connection);
  } else {
    ::operator delete(connection);
  }
}

void ConnectionPool::retire_all(std::chrono::milliseconds grace) {
  for_each(loop_.uv(), [grace](Connection& connection) { connection.retire(grace); });
}

void ConnectionPool::close_all() {
  for_each(loop_.uv(), [](Connection& connection) { connection.close(); });
}

}  // namespace narwhal::worker
