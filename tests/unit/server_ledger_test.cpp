// The ledger: transactions with their outcome, restarts by reason, and the counts of workers that have ended.
#include <doctest/doctest.h>

#include <memory>

#include "server/ledger.hpp"

using namespace narwhal;
using namespace narwhal::server;
using namespace std::chrono_literals;

namespace {

ServerState state_of(const Ledger& ledger) {
  ServerState state;
  ledger.write_to(state);
  return state;
}

std::uint64_t count_of(const std::vector<std::pair<std::string, std::uint64_t>>& counts, const std::string& name) {
  for (const auto& [key, count] : counts) {
    if (key == name) return count;
  }
  return ~std::uint64_t{0};
}

}  // namespace

TEST_CASE("ledger: a start, a reload that is refused and one that is not") {
  Ledger ledger;
  const Instant begin = now();
  ledger.begin(Transaction::Kind::start, begin);
  CHECK(state_of(ledger).transactions.back().outcome == Transaction::Outcome::running);
  ledger.swapped(1, begin + 2s);
  CHECK(ledger.next_transaction() == 2);
  ledger.begin(Transaction::Kind::reload, begin + 3s);
  ledger.refused(1, "no such file", begin + 4s);
  ledger.refused(1, "a second outcome changes nothing", begin + 9s);
  ledger.begin(Transaction::Kind::reload, begin + 5s);
  ledger.swapped(3, begin + 6s);
  const ServerState state = state_of(ledger);
  REQUIRE(state.transactions.size() == 3);
  CHECK(state.transactions[0].seconds == 2);
  CHECK(state.transactions[1].reason == "no such file");
  CHECK(state.transactions[1].generation == 1);
  CHECK(state.transactions[1].seconds == 1);
  CHECK(state.transactions[2].generation == 3);
  CHECK(state.last_transaction == 3);
  CHECK(count_of(state.reloads, "swapped") == 1);  // the start is none
  CHECK(count_of(state.reloads, "refused") == 1);
}

TEST_CASE("ledger: a reload may run while an upgrade does") {
  Ledger ledger;
  const Instant begin = now();
  ledger.begin(Transaction::Kind::upgrade, begin);
  ledger.begin(Transaction::Kind::reload, begin);
  ledger.upgraded("it exited with code 7", begin + 1s);
  ledger.upgraded("it has ended before", begin + 2s);
  ServerState state = state_of(ledger);
  REQUIRE(state.transactions.size() == 2);
  CHECK(state.transactions[0].outcome == Transaction::Outcome::refused);
  CHECK(state.transactions[0].reason == "it exited with code 7");
  CHECK(state.transactions[1].outcome == Transaction::Outcome::running);
  ledger.swapped(2, begin + 3s);
  ledger.begin(Transaction::Kind::upgrade, begin + 4s);
  ledger.upgraded("", begin + 5s);
  state = state_of(ledger);
  CHECK(state.transactions[1].outcome == Transaction::Outcome::swapped);
  CHECK(state.transactions[2].outcome == Transaction::Outcome::swapped);
  CHECK(count_of(state.reloads, "swapped") == 1);  // an upgrade is none
  CHECK(count_of(state.reloads, "refused") == 0);
}

TEST_CASE("ledger: remembers the last transactions only") {
  Ledger ledger;
  for (unsigned i = 0; i < 3 * Ledger::transactions_max; ++i) {
    ledger.begin(Transaction::Kind::reload, now());
    ledger.swapped(i, now());
  }
  const ServerState state = state_of(ledger);
  CHECK(state.transactions.size() == Ledger::transactions_max);
  CHECK(state.transactions.back().id == 3 * Ledger::transactions_max);
  CHECK(count_of(state.reloads, "swapped") == 3 * Ledger::transactions_max);
}

TEST_CASE(
    "ledger: adds up what workers have counted, by route; a route of another generation is the same by its name") {
  Ledger ledger;
  const auto slot = std::make_unique<WorkerSlot>();
  slot->requests = 5;
  slot->bytes_out = 100;
  slot->routes[0].status_class[2] = 3;
  slot->routes[1].status_class[5] = 1;
  slot->routes[WorkerSlot::routes_max - 1].status_class[4] = 1;
  Config first;
  first.routes = {{"/a", "a.so", {}}, {"", "b.so", {}}};
  ledger.worker_ended(*slot, first, "crash", now());
  Config second;
  second.routes = {{"", "b.so", {}}};
  ledger.worker_ended(*slot, second, nullptr, now());
  const Totals past = state_of(ledger).past;
  CHECK(past.requests == 10);
  CHECK(past.bytes_out == 200);
  REQUIRE(past.routes.size() == 3);
  CHECK(past.routes[0].status_class[2] == 3);  // /a
  CHECK(past.routes[1].status_class[5] == 1);  // b.so
  CHECK(past.routes[1].status_class[2] == 3);
  CHECK(past.routes[2].app.empty());
  CHECK(past.routes[2].status_class[4] == 2);
  CHECK(count_of(state_of(ledger).restarts, "crash") == 1);
  CHECK(count_of(state_of(ledger).restarts, "timeout") == 0);
}

TEST_CASE("ledger: what handlers ran and what was deferred when a worker ended is without an answer") {
  Ledger ledger;
  const auto slot = std::make_unique<WorkerSlot>();
  const Instant end = now();
  Config config;
  config.routes = {{"", "a.so", {}}};
  slot->running[1].begin("GET", "/", 0, end - 1s);
  slot->deferred[2].begin("GET", "/events", 0, end - 1s);
  slot->deferred[3].begin("GET", "/answered", 0, end - 1s);
  slot->deferred[3].end();
  ledger.worker_ended(*slot, config, "crash", end);
  CHECK(state_of(ledger).past.routes.at(0).status_class[0] == 2);
}
