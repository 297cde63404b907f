// Relay: a request that has waited for a busy handler goes, with its socket, to a sibling that has one free.
// Wire     one SOCK_SEQPACKET pair a generation, both ends held by every worker: a worker that is free takes the next message,
//          and no message is lost with a worker that dies. One message: Peer, then the bytes that the client has sent
//          and nobody has answered; the socket comes with it (SCM_RIGHTS).
// Errors   what cannot be given stays where it is.
// Threads  the holder of the baton.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "core/fd.hpp"
#include "worker/buffers.hpp"
#include "worker/peer.hpp"

namespace narwhal::worker {

class Relay {
 public:
  static constexpr std::size_t bytes_max = 64 * 1024;  // a request with a larger body waits

  // Descriptors of the pair; they outlive this. -1, -1: there is none.
  Relay(int give_end, int take_end) noexcept : give_end_(give_end), take_end_(take_end) {}

  bool usable() const noexcept { return give_end_ >= 0; }
  int take_end() const noexcept { return take_end_; }
  bool give(int socket, const Peer& peer, std::string_view first, std::string_view rest) const noexcept;

  struct Taken {
    Fd socket;  // none: this process has no descriptor left for it, and the request is lost
    Peer peer;
    Buffer* bytes;  // the caller's
  };
  std::optional<Taken> take(BufferPool& pool) const;

 private:
  int give_end_, take_end_;
};

}  // namespace narwhal::worker
