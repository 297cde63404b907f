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
  const bool is_local = family == Peer::Family::local;
  const int status = is_local ? uv_pipe_init(loop, &handle_.pipe, 0) : uv_tcp_init(loop, &handle_.tcp);
  handle_.handle.data = owner;
  if (status != 0) {
    ::close(fd);
  } else {
    fd_ = fd;
  }
  return status;
}

int ClientSocket::join() noexcept {
  if (joined_) return 0;
  const bool is_local = handle_.handle.type == UV_NAMED_PIPE;
  const int status = is_local ? uv_pipe_open(&handle_.pipe, fd_) : uv_tcp_open(&handle_.tcp, fd_);
  joined_ = status == 0;
  return status;
}

void ClientSocket::close(uv_close_cb closed) noexcept {
  if (!joined_ && fd_ >= 0) ::close(fd_);  // else libuv does
  uv_close(&handle_.handle, closed);
}

int ClientSocket::write(uv_write_t* request, const uv_buf_t* parts, unsigned count, uv_write_cb written) noexcept {
  if (const int status = join(); status != 0) return status;
  return uv_write(request, &handle_.stream, parts, count, written);
}

int ClientSocket::watch(uv_read_cb readable) noexcept {
  if (!reading_) return 0;
  if (const int status = join(); status != 0) return status;
  uv_read_start(&handle_.stream, give_no_buffer, readable);
  return 0;
}

int ClientSocket::start_reading(uv_read_cb readable) noexcept {
  reading_ = true;
  return watch(readable);
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
