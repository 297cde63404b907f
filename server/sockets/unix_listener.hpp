// The file of a listening Unix socket: whether a server listens on it, how it is created, when it is removed.
#pragma once

#include <string>

#include "core/fd.hpp"
#include "core/generation.hpp"
#include "core/result.hpp"
#include "server/sockets/socket_rights.hpp"

namespace narwhal::server {

enum class PathState {
  free,
  stale,   // a socket that no process listens on any more
  in_use,  // a process listens, or may listen
  not_a_socket,
};
PathState state_of_path(const std::string& path);

// Binds `socket` to `path`, which must be free. The file has these rights before it returns, and nobody can connect before
// the socket listens.
Result<SocketFile> bind_unix(int socket, const std::string& path, const SocketRights& rights);

// Does nothing in a process other than the one that bound it, or if the name belongs to another file now.
void remove_socket_file(const SocketFile& file) noexcept;

}  // namespace narwhal::server
