// Seats: what the template and a worker inherit from the process that forked them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/board.hpp"
#include "core/fd.hpp"
#include "core/generation.hpp"
#include "core/records.hpp"
#include "core/scoreboard.hpp"

namespace narwhal {

// What the template inherits. `listeners` and `scoreboard` must outlive it.
struct TemplateSeat {
  std::shared_ptr<const Generation> generation;
  Fd master;  // reports out, orders in
  std::vector<const Listener*> listeners;
  Scoreboard* scoreboard = nullptr;
  int access_log =
      -1;  // opened with the master's rights; -1: none. The number stays the same when the file is replaced
  int log_socket = -1;  // to the log process, where the settings need one
  Fd code_files{};      // memory for worker/code_files.hpp; the same for each template of a generation
  Fd learned_calls{};   // where `seccomp: learn` writes to, opened with the master's rights
};

// What one worker inherits.
struct Seat {
  std::shared_ptr<const Generation> generation;
  std::uint32_t slot = 0;  // its place in the scoreboard
  Fd master;
  std::vector<const Listener*> listeners;
  Scoreboard* scoreboard = nullptr;
  int relay_give = -1, relay_take = -1;  // from the template: see worker/relay.hpp
  int access_log = -1, log_socket = -1;  // as in TemplateSeat
  bool is_admin = false;
};

// What the admin process inherits: a worker's seat, whose one route is the admin plugin of ours.
struct AdminSeat {
  Seat seat;
  Fd commands;  // to the master
  const Board* board = nullptr;
};

// Exit codes of template and workers; the server's exit codes are Gunicorn's (0, 1, 2, 3, 4).
constexpr int exit_boot_failed = 3;
constexpr int exit_app_failed = 4;

}  // namespace narwhal
