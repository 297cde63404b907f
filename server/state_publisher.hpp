// StatePublisher: puts what the master knows on the board, for the admin process.
// Cost  a few strings a turn of the master's loop, and once a second a look at the queues of the listening sockets.
#pragma once

#include <deque>
#include <string>

#include "core/board.hpp"
#include "core/server_state.hpp"
#include "server/succession.hpp"

namespace narwhal::server {

class StatePublisher {
 public:
  StatePublisher(std::string version, std::string title);

  Board& board() { return board_; }
  void answer(CommandAnswer answer);
  Instant deadline() const { return due_; }
  // `status`: the line that a service manager shows.
  void publish(const Succession& succession, const Ledger& ledger, const std::string& status, bool stopping,
               Instant now);

 private:
  static constexpr std::size_t answers_max = 32;
  void look_at_listeners(const Succession& succession, Instant now);

  Board board_;
  ServerState state_;
  std::string published_;
  Instant due_ = unset;
};

}  // namespace narwhal::server
