// read(2) and send(2) without glibc's cancellation points: nobody cancels our threads, and in a process with threads the
// wrappers pay two locked instructions a call to allow it.
// Errors  as the system calls': -1 and errno.
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace narwhal::worker {

inline ssize_t raw_read(int fd, void* into, std::size_t room) noexcept { return ::syscall(SYS_read, fd, into, room); }

inline ssize_t raw_send(int fd, const void* bytes, std::size_t size, int flags) noexcept {
  return ::syscall(SYS_sendto, fd, bytes, size, flags, nullptr, 0);
}

}  // namespace narwhal::worker
