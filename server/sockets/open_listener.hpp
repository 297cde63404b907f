// Opens one listening socket, for each kind of bind. listeners.hpp decides which ones are needed.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/config.hpp"
#include "core/seat.hpp"
#include "server/sockets/unix_listener.hpp"

namespace narwhal::server {

struct ListenOptions {
  unsigned backlog = 2048;
  bool reuse_port = false;
  bool v6_only = true;  // for an IPv6 address that shares its port with an IPv4 bind
  SocketRights rights;  // of a Unix socket's file
};

struct Opened {
  std::shared_ptr<Listener> listener;  // null: failed
  int code = 0;                        // errno of the failure; 0 if it has none
  std::string reason;                  // "bind 127.0.0.1:80: Permission denied"
};
Opened open_listener(const Bind& bind, const ListenOptions& options);

// A socket that another process opened: checked, then owned. An unsuitable descriptor is left unchanged.
Opened adopt_listener(int fd, const ListenOptions& options);

// One of the master that this one takes over from, and shares it with. Null: it does not listen.
std::shared_ptr<Listener> take_over_listener(const Bind& bind, Fd socket, SocketFile file);

// "http://127.0.0.1:8000", "http://[::1]:8000", "unix:/run/x.sock", from the socket itself.
std::string address_of(int socket);

}  // namespace narwhal::server
