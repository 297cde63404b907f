// How many connections wait in the kernel to be accepted.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace narwhal::server {

// Of a listening socket; -1: unknown, as for a Unix socket.
inline long accept_queue_of(int socket) {
  tcp_info facts{};
  socklen_t size = sizeof facts;
  return ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &facts, &size) == 0 ? static_cast<long>(facts.tcpi_unacked) : -1;
}

}  // namespace narwhal::server
