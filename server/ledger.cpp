#include "server/ledger.hpp"

#include <ctime>

#include "core/log.hpp"

namespace narwhal::server {

void Ledger::worker_ended(const WorkerSlot& slot, std::span<const Route> routes, const char* restart) {
  past_.add(slot, routes);
  if (restart != nullptr) ++restarts_[restart];
}

void Ledger::begin(Transaction::Kind kind, Instant now) {
  Transaction begun;
  begun.id = ++last_;
  begun.kind = kind;
  begun.began = std::time(nullptr);
  begun.began_at = now;
  transactions_.push_back(std::move(begun));
  if (transactions_.size() > transactions_max) transactions_.pop_front();
}

void Ledger::swapped(std::uint64_t generation, Instant now) { end(Transaction::Outcome::swapped, generation, "", now); }

void Ledger::refused(std::uint64_t generation, std::string_view reason, Instant now) {
  end(Transaction::Outcome::refused, generation, reason, now);
}

void Ledger::end(Transaction::Outcome outcome, std::uint64_t generation, std::string_view reason, Instant now) {
  if (transactions_.empty()) return;
  Transaction& ended = transactions_.back();
  if (ended.outcome != Transaction::Outcome::running) return;
  ended.outcome = outcome;
  ended.generation = generation;
  ended.seconds = seconds_of(now - ended.began_at);
  ended.reason = reason;
  if (ended.kind != Transaction::Kind::start) ++reloads_[name_of(outcome)];
}

void Ledger::write_to(ServerState& state) const {
  state.transactions.assign(transactions_.begin(), transactions_.end());
  state.last_transaction = last_;
  state.reloads.assign(reloads_.begin(), reloads_.end());
  state.restarts.assign(restarts_.begin(), restarts_.end());
  state.past = past_;
  state.past.log_dropped += log::dropped();
}

}  // namespace narwhal::server
