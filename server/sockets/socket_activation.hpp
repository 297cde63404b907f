// systemd's socket activation: sockets are passed as descriptors from 3 on (sd_listen_fds(3)).
#pragma once

#include <sys/types.h>

#include <vector>

namespace narwhal::server {

constexpr int first_activated_fd = 3;

// The descriptors of the sockets; none if there are none or if they are for another process. systemd passes LISTEN_FDS,
// Upstart's socket bridge UPSTART_FDS. Removes these variables from the environment, so that no child uses them.
std::vector<int> take_activation();
// The sockets that are for the process `from` are for this one, which it has forked to take its place.
void pass_activation(pid_t from);

}  // namespace narwhal::server
