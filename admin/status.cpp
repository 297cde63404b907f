#include "admin/status.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace narwhal::admin {
namespace {

using Json = nlohmann::ordered_json;

double rounded(double seconds) { return static_cast<double>(static_cast<long long>(seconds * 1000 + 0.5)) / 1000; }

std::string route_name(const GenerationFacts* generation, std::size_t index) {
  if (generation == nullptr || index >= generation->routes.size()) return "#" + std::to_string(index);
  return narwhal::route_name(generation->routes[index].prefix, generation->routes[index].hosts);
}

Json json_of(const WorkerView& worker, const GenerationFacts& generation, Instant now) {
  Json running = Json::array();
  for (const RunningRequest& request : worker.running) {
    running.push_back({{"method", request.method},
                       {"target", request.target},
                       {"route", route_name(&generation, request.route)},
                       {"thread", request.thread_id},
                       {"seconds", rounded(std::max(0.0, seconds_of(now - request.started)))}});
  }
  return {{"worker", worker.facts.slot + 1},
          {"pid", worker.facts.pid},
          {"state", worker.facts.life},
          {"condition", name_of(worker.condition)},
          {"changed_code", worker.has_changed_code},
          {"age_seconds", rounded(worker.age)},
          {"heartbeat_age_seconds", rounded(worker.heartbeat_age)},
          {"connections", worker.connections},
          {"busy", worker.running.size()},
          {"waiting", worker.waiting},
          {"requests", worker.requests},
          {"resident_bytes", worker.resident},
          {"shared_bytes", worker.shared},
          {"running", std::move(running)}};
}

Json json_of(const GenerationFacts& generation, const View& view) {
  Json routes = Json::array(), workers = Json::array();
  for (const RouteFacts& route : generation.routes) {
    routes.push_back({{"route", narwhal::route_name(route.prefix, route.hosts)},
                      {"hosts", route.hosts},
                      {"prefix", route.prefix.empty() ? "/" : route.prefix},
                      {"app", route.app}});
  }
  for (const WorkerView& worker : view.workers) {
    if (worker.generation == generation.number) workers.push_back(json_of(worker, generation, view.now));
  }
  return {{"number", generation.number},
          {"phase", generation.phase},
          {"target", generation.target},
          {"threads", generation.threads},
          {"age_seconds", rounded(seconds_of(view.now - generation.started))},
          {"template_pid", generation.template_pid},
          {"routes", std::move(routes)},
          {"workers", std::move(workers)}};
}

Json json_of(const Transaction& one, Instant now) {
  const bool runs = one.outcome == Transaction::Outcome::running;
  return {{"id", one.id},
          {"kind", name_of(one.kind)},
          {"outcome", name_of(one.outcome)},
          {"generation", one.generation},
          {"began", one.began},
          {"seconds", rounded(runs ? seconds_of(now - one.began_at) : one.seconds)},
          {"reason", one.reason}};
}

Json json_of(const Totals& totals) {
  Json routes = Json::array();
  for (const RouteTotals& route : totals.routes) {
    routes.push_back({{"route", route.route},
                      {"app", route.app},
                      {"requests", route.requests()},
                      {"by_status", route.status_class},
                      {"latency_log2_us", route.latency},
                      {"seconds", static_cast<double>(route.microseconds) / 1e6}});
  }
  return {
      {"accepted", totals.accepted},       {"not_accepted", totals.not_accepted}, {"requests", totals.requests},
      {"refused", totals.refused},         {"overloaded", totals.overloaded},     {"timed_out", totals.timed_out},
      {"received_bytes", totals.bytes_in}, {"sent_bytes", totals.bytes_out},      {"log_dropped", totals.log_dropped},
      {"poisoned", totals.poisoned},       {"routes", std::move(routes)}};
}

Json json_of(const Problem& problem) {
  return {{"time", problem.time}, {"level", problem.level}, {"text", problem.text}};
}

Json counts(const std::vector<std::pair<std::string, std::uint64_t>>& pairs) {
  Json object = Json::object();
  for (const auto& [name, count] : pairs) object[name] = count;
  return object;
}

}  // namespace

std::string status_json(const View& view) {
  const ServerState& state = view.state;
  Json generations = Json::array(), transactions = Json::array(), listeners = Json::array(), problems = Json::array();
  for (const GenerationFacts& generation : state.generations) generations.push_back(json_of(generation, view));
  for (const Problem& problem : state.problems) problems.push_back(json_of(problem));
  for (const Transaction& one : state.transactions) transactions.push_back(json_of(one, view.now));
  for (const ListenerFacts& listener : state.listeners)
    listeners.push_back(
        {{"address", listener.address}, {"waiting", listener.waiting < 0 ? Json(nullptr) : Json(listener.waiting)}});
  const std::string not_ready = view.not_ready(), not_alive = view.not_alive();
  const Json status{{"version", state.version},
                    {"title", state.title},
                    {"pid", state.pid},
                    {"started", state.started},
                    {"uptime_seconds", rounded(seconds_of(view.now - state.started_at))},
                    {"status", state.status},
                    {"ready", not_ready.empty()},
                    {"not_ready", not_ready},
                    {"alive", not_alive.empty()},
                    {"not_alive", not_alive},
                    {"stopping", state.stopping},
                    {"master_silence_seconds", rounded(view.master_silence)},
                    {"generation", state.serving},
                    {"connections", view.connections()},
                    {"handlers", {{"busy", view.busy()}, {"idle", view.idle()}}},
                    {"queue", {{"length", view.waiting()}, {"oldest_seconds", rounded(view.oldest_waiting())}}},
                    {"listeners", std::move(listeners)},
                    {"generations", std::move(generations)},
                    {"transactions", std::move(transactions)},
                    {"last_transaction", state.last_transaction},
                    {"reloads", counts(state.reloads)},
                    {"restarts", counts(state.restarts)},
                    {"process_restarts", counts(state.process_restarts)},
                    {"problems", std::move(problems)},
                    {"totals", json_of(view.totals)}};
  // A target is bytes of a client: what is not UTF-8 is replaced.
  return status.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace narwhal::admin
