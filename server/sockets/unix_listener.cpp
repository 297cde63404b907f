#include "server/sockets/unix_listener.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace narwhal::server {
namespace {

// False: longer than the kernel's 107 bytes.
bool fill(sockaddr_un& address, const std::string& path) {
  address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.data(), path.size());
  return true;
}

// umask() has no form for one call; the master has one thread, so no file is created in between.
class UmaskForNow {
 public:
  explicit UmaskForNow(mode_t mask) noexcept : former_(::umask(mask)) {}
  UmaskForNow(const UmaskForNow&) = delete;
  UmaskForNow& operator=(const UmaskForNow&) = delete;
  ~UmaskForNow() { ::umask(former_); }

 private:
  mode_t former_;
};

}  // namespace

PathState state_of_path(const std::string& path) {
  struct stat entry {};
  if (::lstat(path.c_str(), &entry) < 0) return PathState::free;
  if (!S_ISSOCK(entry.st_mode)) return PathState::not_a_socket;
  sockaddr_un address;
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe || !fill(address, path)) return PathState::in_use;
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return PathState::in_use;
  }
  // Only a refusal proves that no process listens: a full backlog gives EAGAIN, another socket type EPROTOTYPE.
  return errno == ECONNREFUSED ? PathState::stale : PathState::in_use;
}

Result<SocketFile> bind_unix(int socket, const std::string& path, const SocketRights& rights) {
  sockaddr_un address;
  if (!fill(address, path)) return Error{"bind unix:" + path + ": the path is longer than 107 bytes"};
  {
    const UmaskForNow masked(rights.mode ? 0777 & ~*rights.mode : rights.umask);
    if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
      return errno_error("bind unix:" + path);
    }
  }
  struct stat entry {};
  if (::lstat(path.c_str(), &entry) < 0) return errno_error("stat " + path);
  SocketFile file{path, entry.st_dev, entry.st_ino, ::getpid()};
  if (const auto given = give_rights(file, rights); !given) {
    remove_socket_file(file);
    return Error{"bind unix:" + path + ": " + given.error()};
  }
  return file;
}

void remove_socket_file(const SocketFile& file) noexcept {
  if (file.owner != ::getpid()) return;
  struct stat entry {};
  if (::lstat(file.path.c_str(), &entry) < 0) return;
  if (entry.st_dev == file.device && entry.st_ino == file.inode) ::unlink(file.path.c_str());
}

}  // namespace narwhal::server
