#include "admin/view.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

namespace narwhal::admin {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
// The master publishes at every change; only a slot that was cleared between two of them needs another look.
constexpr int look_attempts = 5;
constexpr std::chrono::seconds master_silent_after{10};

double seconds_since(Instant then, Instant now) { return then == unset || then > now ? 0 : seconds_of(now - then); }

bool is_serving(const WorkerView& worker) {
  return worker.facts.life == "serving" || worker.facts.life == "expired" || worker.facts.life == "outgoing";
}

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

// Not from smaps, whose reading waits for the worker's memory lock.
void read_memory(WorkerView& worker) {
  const std::unique_ptr<std::FILE, CloseFile> file(
      std::fopen(fmt::format("/proc/{}/statm", worker.facts.pid).c_str(), "re"));
  unsigned long long size = 0, resident = 0, shared = 0;
  if (!file || std::fscanf(file.get(), "%llu %llu %llu", &size, &resident, &shared) != 3) return;
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  worker.resident = resident * page;
  worker.shared = shared * page;
}

Condition condition_of(const WorkerView& worker, std::chrono::seconds timeout, Instant now) {
  if (!is_serving(worker)) return Condition::ok;
  if (worker.heartbeat_age > seconds_of(silent_after)) return Condition::silent;
  const auto is_old = [&](const RunningRequest& each) { return now - each.started > stuck_after(timeout); };
  const auto old = std::count_if(worker.running.begin(), worker.running.end(), is_old);
  return old >= static_cast<std::ptrdiff_t>(worker.threads) ? Condition::stuck : Condition::ok;
}

WorkerView view_of(const WorkerFacts& facts, const GenerationFacts& generation, const Scoreboard& scoreboard,
                   Instant now) {
  WorkerView worker;
  worker.facts = facts;
  worker.generation = generation.number;
  worker.threads = generation.threads;
  worker.age = seconds_since(facts.spawned, now);
  const WorkerSlot& slot = scoreboard.slot(facts.slot);
  if (facts.pid == 0 || slot.pid.load(relaxed) != facts.pid) return worker;
  worker.has_changed_code = slot.has_changed_code.load(relaxed);
  worker.heartbeat_age = seconds_since(slot.heartbeat.load(relaxed), now);
  worker.connections = slot.connections.load(relaxed);
  worker.waiting = slot.waiting.load(relaxed);
  if (worker.waiting != 0) worker.oldest_waiting = seconds_since(slot.oldest_waiting.load(relaxed), now);
  worker.requests = slot.requests.load(relaxed);
  worker.running = scoreboard.running(facts.slot, generation.threads + 1);
  worker.condition = condition_of(worker, generation.timeout, now);
  read_memory(worker);
  return worker;
}

std::vector<Route> routes_of(const GenerationFacts& generation) {
  std::vector<Route> routes;
  for (const RouteFacts& facts : generation.routes) {
    Route route{facts.prefix, facts.app, {}};
    route.hosts = facts.hosts;
    routes.push_back(std::move(route));
  }
  return routes;
}

// Only the slots of workers are read: reading one that nobody has used would commit its memory.
std::vector<NumberTable::Number> numbers_of(const std::vector<WorkerView>& workers, const Scoreboard& scoreboard) {
  std::vector<NumberTable::Number> numbers = scoreboard.numbers().read();
  for (NumberTable::Number& number : numbers) {
    if (number.kind != NumberTable::Kind::gauge) continue;
    for (const WorkerView& worker : workers)
      number.value += scoreboard.gauges(worker.facts.slot).values[number.gauge].load(relaxed);
  }
  return numbers;
}

View view_of(ServerState state, const Scoreboard& scoreboard) {
  View view;
  view.now = now();
  view.totals = state.past;
  for (const GenerationFacts& generation : state.generations) {
    const std::vector<Route> routes = routes_of(generation);
    for (const WorkerFacts& facts : generation.workers) {
      if (facts.slot >= Scoreboard::slots_max) continue;
      view.workers.push_back(view_of(facts, generation, scoreboard, view.now));
      view.totals.add(scoreboard.slot(facts.slot), routes);
    }
  }
  view.numbers = numbers_of(view.workers, scoreboard);
  view.state = std::move(state);
  return view;
}

template <class Number, class Part>
Number sum_of(const std::vector<WorkerView>& workers, Part part) {
  Number sum{};
  for (const WorkerView& worker : workers) sum += part(worker);
  return sum;
}

}  // namespace

const char* name_of(Condition condition) {
  switch (condition) {
    case Condition::ok: return "ok";
    case Condition::stuck: return "stuck";
    case Condition::silent: break;
  }
  return "silent";
}

std::chrono::seconds stuck_after(std::chrono::seconds timeout) {
  constexpr std::chrono::seconds least{1}, most{5};
  return timeout.count() == 0 ? most : std::clamp(timeout / 2, least, most);
}

std::optional<View> look(const Board& board, const Scoreboard& scoreboard) {
  std::optional<View> view;
  std::optional<std::string> bytes = board.read();
  for (int attempt = 0; bytes && attempt < look_attempts; ++attempt) {
    auto state = state_of(*bytes);
    if (!state) return std::nullopt;
    view = view_of(*std::move(state), scoreboard);
    // A slot is cleared after the counts of its worker were published as past: unchanged, no slot was cleared meanwhile.
    std::optional<std::string> again = board.read();
    if (!again || *again == *bytes) break;
    bytes = std::move(again);
  }
  if (view) view->master_silence = seconds_since(board.last_beat(), view->now);
  return view;
}

std::string View::not_ready() const {
  if (state.stopping) return "the server is stopping";
  if (state.serving == 0) return "the first generation is starting";
  std::size_t serving = 0, stuck = 0, silent = 0;
  for (const WorkerView& worker : workers) {
    if (!is_serving(worker)) continue;
    ++serving;
    stuck += worker.condition == Condition::stuck ? 1 : 0;
    silent += worker.condition == Condition::silent ? 1 : 0;
  }
  if (serving == 0) return "no worker is serving";
  if (stuck + silent < serving) return {};
  if (silent == 0) return fmt::format("every worker is stuck ({} of {})", stuck, serving);
  return fmt::format("every worker is stuck ({} of {}) or silent ({})", stuck, serving, silent);
}

std::string View::not_alive() const {
  if (master_silence < seconds_of(master_silent_after)) return {};
  return fmt::format("the master (pid:{}) has been silent for {:.0f} s", state.pid, master_silence);
}

std::uint32_t View::connections() const {
  return sum_of<std::uint32_t>(workers, [](const WorkerView& worker) { return worker.connections; });
}

std::uint32_t View::busy() const {
  return sum_of<std::uint32_t>(workers, [](const WorkerView& worker) { return worker.running.size(); });
}

std::uint32_t View::idle() const {
  return sum_of<std::uint32_t>(workers, [](const WorkerView& worker) {
    const auto busy = static_cast<std::uint32_t>(worker.running.size());
    return is_serving(worker) && worker.threads > busy ? worker.threads - busy : 0;
  });
}

std::uint32_t View::waiting() const {
  return sum_of<std::uint32_t>(workers, [](const WorkerView& worker) { return worker.waiting; });
}

double View::oldest_waiting() const {
  double oldest = 0;
  for (const WorkerView& worker : workers) oldest = std::max(oldest, worker.oldest_waiting);
  return oldest;
}

}  // namespace narwhal::admin
