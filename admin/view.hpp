// View: the whole server at one moment, from the master's board and the workers' scoreboard. Only memory and /proc are
// read, so it is made also while the master or every worker is stopped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/board.hpp"
#include "core/scoreboard.hpp"
#include "core/server_state.hpp"

namespace narwhal::admin {

enum class Condition : std::uint8_t {
  ok,
  stuck,   // each of its handlers has run the same request for longer than stuck_after()
  silent,  // its loop has not turned for silent_after
};
const char* name_of(Condition condition);

constexpr std::chrono::seconds silent_after{2};
// Half of the setting `timeout`, at most 5 s and at least 1 s.
std::chrono::seconds stuck_after(std::chrono::seconds timeout);

struct WorkerView {
  WorkerFacts facts;
  std::uint64_t generation = 0;
  std::uint32_t threads = 0;
  Condition condition = Condition::ok;
  bool has_changed_code = false;
  double age = 0, heartbeat_age = 0;  // seconds
  std::uint32_t connections = 0, waiting = 0;
  double oldest_waiting = 0;  // seconds; 0: none waits
  std::uint64_t requests = 0;
  std::uint64_t resident = 0, shared = 0;  // bytes of memory
  std::vector<RunningRequest> running;
};

struct View {
  ServerState state;
  Instant now;
  double master_silence = 0;  // seconds since the master's loop has turned
  std::vector<WorkerView> workers;
  Totals totals;
  std::vector<NumberTable::Number> numbers;  // of plugins; a gauge's value is the sum over the workers

  // Why the server is not ready for requests, in one line; empty: it is ready.
  std::string not_ready() const;
  // Why the server should be started again, in one line; empty: it is alive.
  std::string not_alive() const;
  std::uint32_t connections() const, busy() const, idle() const, waiting() const;
  double oldest_waiting() const;
};

// Nullopt: the master has not published anything yet, or was stopped while it did.
std::optional<View> look(const Board& board, const Scoreboard& scoreboard);

}  // namespace narwhal::admin
