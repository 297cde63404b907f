// ClientSocket: the socket of one client, TCP or Unix: libuv's handle and the descriptor in it.
// Reading   libuv is asked for readiness alone. The bytes are read when the request's turn has come, so that they, the
//           exchange and its answer are in the nearest cache together: with 64 connections that is a tenth of the whole cost.
// Joining   The descriptor joins libuv's loop when that has to watch it: a connection that ends with its first answer never
//           does, which saves two system calls of twelve.
// Life      open() takes the descriptor over. After close() this must live until libuv has called back.
// Errors    open(), watch(), start_reading(), write(): an error code of libuv, or 0. The rest as the system calls: -1 and errno,
//           or ignored where nothing can be done.
// Threads   the holder of the baton.
#pragma once

#include <uv.h>

#include <cstddef>

#include "worker/peer.hpp"

namespace narwhal::worker {

class ClientSocket {
 public:
  ClientSocket() = default;
  ClientSocket(const ClientSocket&) = delete;
  ClientSocket& operator=(const ClientSocket&) = delete;

  // 0, or an error: then the descriptor is closed, and close() is still to be called. `owner`: see owner_of().
  int open(uv_loop_t* loop, Peer::Family family, int fd, void* owner) noexcept;
  void close(uv_close_cb closed) noexcept;
  bool closing() const noexcept { return uv_is_closing(&handle_.handle) != 0; }
  template <class Handle>
  static void* owner_of(const Handle* handle) noexcept {
    return handle->data;
  }

  int fd() const noexcept { return fd_; }
  // libuv writes the parts, and calls back when the socket has taken them all.
  int write(uv_write_t* request, const uv_buf_t* parts, unsigned count, uv_write_cb written) noexcept;
  // Of these, the bytes that the socket has not taken.
  std::size_t unwritten() const noexcept { return uv_stream_get_write_queue_size(&handle_.stream); }

  // Whether bytes are wanted. start_reading() also has the kernel watch the socket, expect_reading() leaves that to
  // watch(): the first request is often there already, and its connection then costs one registration less.
  bool reading() const noexcept { return reading_; }
  void expect_reading() noexcept { reading_ = true; }
  int watch(uv_read_cb readable) noexcept;
  int start_reading(uv_read_cb readable) noexcept;
  void stop_reading() noexcept;

  // What was sent and the client has not acknowledged, in bytes.
  std::size_t unacknowledged() const noexcept;
  // close() sends a reset: the client cannot take what it has for the whole answer.
  void reset_on_close() noexcept;
  void shut_down_sending() noexcept;

 private:
  int join() noexcept;

  union {
    uv_tcp_t tcp;
    uv_pipe_t pipe;
    uv_stream_t stream;
    uv_handle_t handle;
  } handle_;
  int fd_ = -1;
  bool reading_ = false;
  bool joined_ = false;
};

}  // namespace narwhal::worker
