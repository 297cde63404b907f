// Ledger: what has happened since the start of the server: its transactions, why workers were replaced, and what workers
// that have ended had counted. For the admin process alone: nothing decides by it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "core/clock.hpp"
#include "core/server_state.hpp"

namespace narwhal::server {

class Ledger {
 public:
  static constexpr std::size_t transactions_max = 50;  // that are remembered

  // `restart`: why another worker takes its place; null: none does. Requests that were in its handlers got no answer.
  void worker_ended(const WorkerSlot& slot, const Config& config, const char* restart, Instant now);
  // "admin" or "template": such a process has ended while it was needed.
  void process_ended(const std::string& which) { ++process_restarts_[which]; }
  // So often until now.
  void log_process_failed(std::uint64_t times) { process_restarts_["log"] = times; }
  void begin(Transaction::Kind kind, Instant now);
  // Of the transaction that runs and is not an upgrade.
  // `remark`: what it could not do all the same; empty: nothing.
  void swapped(std::uint64_t generation, Instant now, std::string_view remark = "");
  void refused(std::uint64_t generation, std::string_view reason, Instant now);
  // Of the upgrade that runs, perhaps at the same time. `reason` is empty: the new master serves.
  void upgraded(std::string_view reason, Instant now);

  // The id of the next one, if a reload or a rollback is asked for now.
  std::uint64_t next_transaction() const { return last_ + 1; }
  std::uint64_t last_transaction() const { return last_; }
  // With what this process has logged, and the lines that it has dropped.
  void write_to(ServerState& state) const;

 private:
  void end(bool is_upgrade, Transaction::Outcome outcome, std::string_view reason, Instant now);

  std::deque<Transaction> transactions_;
  std::uint64_t last_ = 0;
  std::uint64_t serving_ = 0;  // the generation since the last outcome
  std::map<std::string, std::uint64_t> reloads_{{"refused", 0}, {"swapped", 0}};  // and rollbacks, by outcome
  std::map<std::string, std::uint64_t> restarts_{{"boot", 0},      {"command", 0},  {"crash", 0},  {"exit", 0},
                                                 {"heartbeat", 0}, {"recycled", 0}, {"timeout", 0}};
  std::map<std::string, std::uint64_t> process_restarts_{{"admin", 0}, {"log", 0}, {"template", 0}};
  Totals past_;
};

}  // namespace narwhal::server
