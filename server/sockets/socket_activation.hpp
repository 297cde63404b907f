// systemd's socket activation: sockets handed over from descriptor 3 on (sd_listen_fds(3)).
#pragma once

namespace narwhal::server {

constexpr int first_activated_fd = 3;

// How many came along, 0 if none or if they are meant for another process. Takes LISTEN_PID, LISTEN_FDS and
// LISTEN_FDNAMES out of the environment, so that no child takes them for its own.
int take_activation();

}  // namespace narwhal::server
