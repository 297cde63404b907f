// What the server listens on. The master alone binds; generations share the sockets they name.
// Ownership  a socket closes when the last generation that names it lets go; a Unix socket's file is then removed
//            by the process that bound it, and only if it still is the same file.
// Sockets    non-blocking, close-on-exec, TCP_NODELAY (which accepted sockets inherit).
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "core/config.hpp"
#include "core/result.hpp"
#include "core/seat.hpp"

namespace narwhal::server {

using ListenerList = std::vector<std::shared_ptr<Listener>>;

// A server that restarts may meet its predecessor's socket for a moment.
struct Retry {
  int attempts = 5;
  std::chrono::milliseconds pause{1000};
};

// One listener for each of config.bind, in that order; or, where systemd activated us (LISTEN_FDS), its sockets in
// place of config.bind. Takes the LISTEN_ variables out of the environment. An address in use is logged and tried
// again, all other errors are final. Blocks while it waits.
Result<ListenerList> listen_at_start(const Config& config, Retry retry = {});

// For a reload: a listener of `current` where its bind is unchanged, a new one elsewhere; activated ones always
// stay. On an error nothing has changed, and what was bound meanwhile is closed again. Never blocks.
Result<ListenerList> listen_for_reload(const Config& next, const ListenerList& current);

}  // namespace narwhal::server
