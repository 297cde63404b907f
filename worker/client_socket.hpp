// ClientSocket: the socket of one client, TCP or Unix: libuv's handle and the descriptor in it.
// Reading   libuv is asked for readiness alone. The bytes are read when the request's turn has come, so that they, the
//           exchange and its answer are in the nearest cache together: with 64 connections that is a tenth of the whole cost.
// Life      open() takes the descriptor over. After close() this must live until libuv has called back.
// Errors    open(): an error code of libuv. The rest as the system calls: -1 and errno, or ignored where nothing can be done.
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
  void close(uv_close_cb closed) noexcept { uv_close(&handle_.handle, closed); }
  bool closing() const noexcept { return uv_is_closing(&handle_.handle) != 0; }
  template <class Handle>
  static void* owner_of(const Handle* handle) noexcept {
    return handle->data;
  }

  int fd() const noexcept { return fd_; }
  uv_stream_t* stream() noexcept { return &handle_.stream; }
  const uv_stream_t* stream() const noexcept { return &handle_.stream; }

  // Whether bytes are wanted. start_reading() also has the kernel watch the socket, expect_reading() leaves that to
  // watch(): the first request is often there already, and its connection then costs one registration less.
  bool reading() const noexcept { return reading_; }
  void expect_reading() noexcept { reading_ = true; }
  void watch(uv_read_cb readable) noexcept;
  void start_reading(uv_read_cb readable) noexcept;
  void stop_reading() noexcept;

  // What was sent and the client has not acknowledged, in bytes.
  std::size_t unacknowledged() const noexcept;
  // close() sends a reset: the client cannot take what it has for the whole answer.
  void reset_on_close() noexcept;
  void shut_down_sending() noexcept;

 private:
  union {
    uv_tcp_t tcp;
    uv_pipe_t pipe;
    uv_stream_t stream;
    uv_handle_t handle;
  } handle_;
  int fd_ = -1;
  bool reading_ = false;
};

}  // namespace narwhal::worker
