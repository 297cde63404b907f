// The sockets that the server listens on. Only the master binds; generations share sockets.
// Ownership  a socket closes when the last generation that uses it releases it. A Unix socket's file is then removed by
//            the process that bound it, but only if it still is the same file.
// Sockets    non-blocking, close-on-exec, TCP_NODELAY (which accepted sockets inherit).
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "core/config.hpp"
#include "core/result.hpp"
#include "core/seat.hpp"
#include "server/sockets/inherited_sockets.hpp"

namespace narwhal::server {

// For a restart, when the previous server's socket may exist for a moment.
struct Retry {
  int attempts = 5;
  std::chrono::milliseconds pause{1000};
};

// One listener for each of config.bind, in that order; or, if systemd activated us (LISTEN_FDS), its sockets in place
// of config.bind. `inherited` comes before both. Removes the LISTEN_ variables from the environment. An address in use is
// logged and tried again; all other errors are final. Blocks while it waits.
Result<ListenerList> listen_at_start(const Config& config, InheritedSockets& inherited, Retry retry = {});
Result<ListenerList> listen_at_start(const Config& config, Retry retry = {});

// For a reload: a listener of `current` if its address is unchanged, else a new one; activated ones always stay. On an
// error nothing has changed, and new sockets are closed again. Never blocks.
Result<ListenerList> listen_for_reload(const Config& next, const ListenerList& current);
// When the generation of `config` takes over: what its binds say about backlog, mode, owner and group, for those of its
// sockets that were opened for an earlier one. What cannot be changed any more is logged.
void apply_options(const Config& config, const ListenerList& listeners);

// No client can find a Unix socket whose file was removed: a new one is bound in its place.
bool has_lost_file(const Bind& bind);

// Whether the binds are different and their users exist; opens nothing.
Result<Done> check_binds(const Config& config);

}  // namespace narwhal::server
