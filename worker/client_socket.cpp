#include "worker/client_socket.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace narwhal::worker {

namespace {

// A null buffer means "not now": libuv then calls back without having read.
void give_no_buffer(uv_handle_t*, size_t, uv_buf_t* out) noexcept { *out = uv_buf_init(nullptr, 0); }

}  // namespace

int ClientSocket::open(uv_loop_t* loop, Peer::Family family, int fd, void* owner) noexcept {
  fd_ = fd;
  int status;
  if (family == Peer::Family::local) {
    status = uv_pipe_init(loop, &handle_.pipe, 0);
    if (status == 0) status = uv_pipe_open(&handle_.pipe, fd);
  } else {
    status = uv_tcp_init(loop, &handle_.tcp);
    if (status == 0) status = uv_tcp_open(&handle_.tcp, fd);
  }
  handle_.handle.data = owner;
  if (status != 0) ::close(fd);
  return status;
}

void ClientSocket::watch(uv_read_cb readable) noexcept {
  if (reading_) uv_read_start(&handle_.stream, give_no_buffer, readable);
}

void ClientSocket::start_reading(uv_read_cb readable) noexcept {
  reading_ = true;
  watch(readable);
}

void ClientSocket::stop_reading() noexcept {
  if (std::exchange(reading_, false)) uv_read_stop(&handle_.stream);
}

std::size_t ClientSocket::unacknowledged() const noexcept {
  int queued = 0;
  return ::ioctl(fd_, SIOCOUTQ, &queued) == 0 ? static_cast<std::size_t>(queued) : 0;
}

void ClientSocket::reset_on_close() noexcept {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void ClientSocket::shut_down_sending() noexcept { ::shutdown(fd_, SHUT_WR); }

}  // namespace narwhal::worker
