// ServerState: what the master knows of the server, for the admin process. What workers know of themselves is on the
// scoreboard.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/clock.hpp"
#include "core/recent_problems.hpp"
#include "core/totals.hpp"

namespace narwhal {

struct WorkerFacts {
  std::uint32_t slot = 0;
  std::int32_t pid = 0;  // 0: not forked yet
  std::string life;      // of server/slot_policy.hpp: "serving", "draining"
  bool has_place = false;
  Instant spawned;
};

// As in Route.
struct RouteFacts {
  std::string prefix, app;
  std::vector<std::string> hosts;
};

struct GenerationFacts {
  std::uint64_t number = 0;
  std::string phase;  // "booting", "serving", "leaving"
  std::uint32_t target = 0, threads = 0;
  std::chrono::seconds timeout{};
  Instant started;
  std::int32_t template_pid = 0;
  std::vector<RouteFacts> routes;  // in the order of Config::routes
  std::vector<WorkerFacts> workers;
};

// The start, a reload, a rollback, or a new master that is to take this one's place.
struct Transaction {
  enum class Kind : std::uint8_t { start, reload, rollback, upgrade };
  enum class Outcome : std::uint8_t { running, swapped, refused };
  std::uint64_t id = 0;
  Kind kind = Kind::start;
  Outcome outcome = Outcome::running;
  std::uint64_t generation = 0;  // that serves since its end
  std::int64_t began = 0;        // Unix time
  Instant began_at;
  double seconds = 0;  // that it took; while it runs 0
  std::string reason;  // why it was refused: one line
};
const char* name_of(Transaction::Kind kind);
const char* name_of(Transaction::Outcome outcome);

struct ListenerFacts {
  std::string address;
  std::int64_t waiting = -1;  // connections in its queue in the kernel; -1: unknown, as for a Unix socket
};

// What the master has done with a command of the admin process.
struct CommandAnswer {
  std::uint64_t id = 0;
  bool accepted = false;
  std::string text;               // one line; why not, or what happens now
  std::uint64_t transaction = 0;  // the first that may be its own; 0: it needs none
};

struct ServerState {
  std::string version, title;
  std::int32_t pid = 0;
  std::int64_t started = 0;   // Unix time
  Instant started_at;         // the same moment
  std::uint64_t serving = 0;  // the number of the generation; 0: none yet
  bool stopping = false;
  std::string status;                        // the line that a service manager shows
  std::vector<GenerationFacts> generations;  // oldest first
  std::vector<Transaction> transactions;     // the last ones, oldest first
  std::uint64_t last_transaction = 0;
  std::vector<std::pair<std::string, std::uint64_t>> reloads;   // "swapped", "refused": how many
  std::vector<std::pair<std::string, std::uint64_t>> restarts;  // of workers, by reason
  // Other processes that have ended while they were needed: "admin", "log", "template".
  std::vector<std::pair<std::string, std::uint64_t>> process_restarts;
  std::vector<Problem> problems;  // that the master has logged; the last ones, oldest first
  Totals past;                    // of workers that have ended
  std::vector<ListenerFacts> listeners;
  std::vector<CommandAnswer> answers;  // the last ones
};

std::string bytes_of(const ServerState& state);
// Nullopt: these are not the bytes of a state.
std::optional<ServerState> state_of(std::string_view bytes);

}  // namespace narwhal
