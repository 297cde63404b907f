#include "server/ledger.hpp"

#include <algorithm>
#include <ctime>
#include <span>

#include "core/log.hpp"
#include "server/passed_timeout.hpp"

namespace narwhal::server {

void Ledger::worker_ended(const WorkerSlot& slot, const Config& config, const char* restart, Instant now) {
  past_.add(slot, config.routes);
  for (const std::span<const Running> records : {std::span<const Running>(slot.running), {slot.deferred}}) {
    for (const Running& record : records) {
      const Instant started = record.started.load(std::memory_order_relaxed);
      if (started != Running::idle && !has_passed_timeout(started, record.route, config, now))
        past_.add_unanswered(config.routes, record.route);
    }
  }
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

void Ledger::swapped(std::uint64_t generation, Instant now, std::string_view remark) {
  serving_ = generation;
  end(false, Transaction::Outcome::swapped, remark, now);
}

void Ledger::refused(std::uint64_t generation, std::string_view reason, Instant now) {
  serving_ = generation;
  end(false, Transaction::Outcome::refused, reason, now);
}

void Ledger::upgraded(std::string_view reason, Instant now) {
  end(true, reason.empty() ? Transaction::Outcome::swapped : Transaction::Outcome::refused, reason, now);
}

void Ledger::end(bool is_upgrade, Transaction::Outcome outcome, std::string_view reason, Instant now) {
  const auto ended = std::find_if(transactions_.rbegin(), transactions_.rend(), [&](const Transaction& each) {
    return each.outcome == Transaction::Outcome::running && (each.kind == Transaction::Kind::upgrade) == is_upgrade;
  });
  if (ended == transactions_.rend()) return;
  ended->outcome = outcome;
  ended->generation = serving_;
  ended->seconds = seconds_of(now - ended->began_at);
  ended->reason = reason;
  if (ended->kind != Transaction::Kind::start && !is_upgrade) ++reloads_[name_of(outcome)];
}

void Ledger::write_to(ServerState& state) const {
  state.transactions.assign(transactions_.begin(), transactions_.end());
  state.last_transaction = last_;
  state.reloads.assign(reloads_.begin(), reloads_.end());
  state.restarts.assign(restarts_.begin(), restarts_.end());
  state.process_restarts.assign(process_restarts_.begin(), process_restarts_.end());
  state.problems.assign(recent_problems().begin(), recent_problems().end());
  state.past = past_;
  state.past.log_dropped += log::dropped();
}

}  // namespace narwhal::server
