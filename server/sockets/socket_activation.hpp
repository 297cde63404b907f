// systemd's socket activation: sockets are passed as descriptors from 3 on (sd_listen_fds(3)).
#pragma once

#include <sys/types.h>

namespace narwhal::server {

constexpr int first_activated_fd = 3;

// The number of sockets; 0 if there are none or if they are for another process. Removes LISTEN_PID, LISTEN_FDS and
// LISTEN_FDNAMES from the environment, so that no child uses them.
int take_activation();
// The sockets that are for the process `from` are for this one, which it has forked to take its place.
void pass_activation(pid_t from);

}  // namespace narwhal::server
