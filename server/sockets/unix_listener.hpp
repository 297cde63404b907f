// The file of a listening Unix socket: whether a server lives behind it, how it is made, when it is removed.
#pragma once

#include <sys/types.h>

#include <string>

#include "core/fd.hpp"
#include "core/privileges.hpp"
#include "core/result.hpp"

namespace narwhal::server {

// The file as it was when it was bound: the inode tells ours from one that took its name since.
struct SocketFile {
  std::string path;
  dev_t device = 0;
  ino_t inode = 0;
  pid_t owner = 0;  // the process that may remove it
};

enum class PathState {
  free,
  stale,   // a socket that nobody listens on any more
  in_use,  // somebody answers, or might
  not_a_socket,
};
PathState look_at(const std::string& path);

// Binds `socket` to `path`, which must be free, with the mode that `umask` leaves.
Result<SocketFile> bind_unix(int socket, const std::string& path, int umask, const Identity& owner);

// Does nothing in another process than the one that bound it, or when the name belongs to another file by now.
void remove_socket_file(const SocketFile& file) noexcept;

}  // namespace narwhal::server
