// write_all(): all of `bytes` to a descriptor that blocks, in as many calls of write(2) as that takes.
// Errors   false and errno; some of the bytes may have been written. The caller knows what that means.
// Threads  any, and signal handlers.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace narwhal {

[[nodiscard]] inline bool write_all(int fd, std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace narwhal
