// Who may connect to a Unix socket: the mode, owner and group of its file. The file is held open while they change, so that
// a link that somebody puts in its place gets nothing.
#pragma once

#include <sys/types.h>

#include <optional>

#include "core/generation.hpp"
#include "core/result.hpp"

namespace narwhal::server {

struct SocketRights {
  mode_t umask = 0;            // without a mode
  std::optional<mode_t> mode;  // whatever a default ACL of the directory says
  std::optional<uid_t> uid;    // absent: this process's
  std::optional<gid_t> gid;
  const char* uid_source = "setting 'user'";  // for messages
  const char* gid_source = "setting 'user' or 'group'";
};

// Of a socket that does not listen yet, so that nobody can connect meanwhile. What is absent stays.
Result<Done> give_rights(const SocketFile& file, const SocketRights& rights);

// Of a socket that listens already. Meanwhile nobody may connect who may do so neither before nor after.
Result<Done> change_rights(const SocketFile& file, const SocketRights& rights);
// Whether this process may do that; changes nothing.
Result<Done> check_rights(const SocketFile& file, const SocketRights& rights);

}  // namespace narwhal::server
