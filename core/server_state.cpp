#include "core/server_state.hpp"

#include <concepts>

#include "core/serial.hpp"

namespace narwhal {
namespace {

template <class T, class Part>
concept Like = std::same_as<std::remove_const_t<T>, Part>;

}  // namespace

template <class Archive, Like<WorkerFacts> T>
void serialize(Archive& archive, T& worker) {
  archive(worker.slot, worker.pid, worker.life, worker.has_place, worker.spawned);
}

template <class Archive, Like<RouteFacts> T>
void serialize(Archive& archive, T& route) {
  archive(route.prefix, route.app, route.hosts);
}

template <class Archive, Like<GenerationFacts> T>
void serialize(Archive& archive, T& generation) {
  archive(generation.number, generation.phase, generation.target, generation.threads, generation.timeout,
          generation.started, generation.template_pid, generation.routes, generation.workers);
}

template <class Archive, Like<Transaction> T>
void serialize(Archive& archive, T& one) {
  archive(one.id, one.kind, one.outcome, one.generation, one.began, one.began_at, one.seconds, one.reason);
}

template <class Archive, Like<Problem> T>
void serialize(Archive& archive, T& problem) {
  archive(problem.time, problem.level, problem.text);
}

template <class Archive, Like<ListenerFacts> T>
void serialize(Archive& archive, T& listener) {
  archive(listener.address, listener.waiting);
}

template <class Archive, Like<CommandAnswer> T>
void serialize(Archive& archive, T& answer) {
  archive(answer.id, answer.accepted, answer.text, answer.transaction);
}

template <class Archive, Like<RouteTotals> T>
void serialize(Archive& archive, T& route) {
  archive(route.route, route.app, route.status_class, route.latency, route.microseconds);
}

template <class Archive, Like<Totals> T>
void serialize(Archive& archive, T& totals) {
  archive(totals.accepted, totals.not_accepted, totals.requests, totals.refused, totals.overloaded, totals.timed_out,
          totals.bytes_in, totals.bytes_out, totals.log_dropped, totals.poisoned, totals.routes);
}

template <class Archive, Like<ServerState> T>
void serialize(Archive& archive, T& state) {
  archive(state.version, state.title, state.pid, state.started, state.started_at, state.serving, state.stopping,
          state.status, state.generations, state.transactions, state.last_transaction, state.reloads, state.restarts,
          state.process_restarts, state.problems, state.past, state.listeners, state.answers);
}

const char* name_of(Transaction::Kind kind) {
  switch (kind) {
    case Transaction::Kind::start: return "start";
    case Transaction::Kind::reload: return "reload";
    case Transaction::Kind::rollback: return "rollback";
    case Transaction::Kind::upgrade: break;
  }
  return "upgrade";
}

const char* name_of(Transaction::Outcome outcome) {
  switch (outcome) {
    case Transaction::Outcome::running: return "running";
    case Transaction::Outcome::swapped: return "swapped";
    case Transaction::Outcome::refused: break;
  }
  return "refused";
}

std::string bytes_of(const ServerState& state) {
  ByteWriter writer;
  writer(state);
  return writer.take();
}

std::optional<ServerState> state_of(std::string_view bytes) {
  ByteReader reader(bytes);
  ServerState state;
  reader(state);
  if (!reader.is_complete()) return std::nullopt;
  return state;
}

}  // namespace narwhal
