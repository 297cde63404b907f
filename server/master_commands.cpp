// The master's answers to the commands of the admin process.
#include <signal.h>

#include <utility>

#include "core/log.hpp"
#include "server/config/settings.hpp"
#include "server/master.hpp"

namespace narwhal::server {
namespace {

CommandAnswer accepted(std::string what, std::uint64_t transaction = 0) {
  return {0, true, std::move(what), transaction};
}
CommandAnswer refused(const std::string& why) { return {0, false, "refused: " + why, 0}; }

CommandAnswer end_worker(const Succession& succession, pid_t pid, bool at_once, Instant now) {
  for (LiveGeneration* generation : succession.all()) {
    WorkerProcess* const worker = generation->find_worker(pid);
    if (worker == nullptr) continue;
    if (at_once) {
      worker->kill();
    } else if (accepts(worker->life())) {
      worker->apply(Event::give_way, now);
    } else {
      return refused(fmt::format("worker (pid:{}) is {}", pid, life_name(worker->life())));
    }
    return accepted(fmt::format("{} worker (pid:{})", at_once ? "kill" : "replace", pid));
  }
  return refused(fmt::format("no worker has the pid {}", pid));
}

}  // namespace

void Master::carry_out(const Record& command) {
  const pid_t other = upgrade_.other_master();
  const std::string beside = other == 0 ? "" : fmt::format(": the other master (pid {}) continues to serve", other);
  const auto answer_to = [&](Command kind) -> CommandAnswer {
    const bool is_stop = kind == Command::stop || kind == Command::stop_quick;
    if (stop_ != Stop::none && !is_stop) return refused("the server is stopping");
    if (succession_.serving() == nullptr && !is_stop) return refused("the server is starting");
    switch (kind) {
      case Command::reload: succession_.request_reload(); return accepted("reload", site_.ledger.next_transaction());
      case Command::rollback: {
        const bool ends_trial = succession_.in_transaction();
        const auto requested = succession_.request_rollback();
        if (!requested) return {0, false, requested.error(), 0};
        return accepted(*requested, ends_trial ? 0 : site_.ledger.next_transaction());
      }
      case Command::scale:
        if (command.code > static_cast<int>(find_setting("workers")->max))
          return refused(fmt::format("at most {} workers", find_setting("workers")->max));
        succession_.change_target(command.code - static_cast<int>(succession_.serving()->target()));
        return accepted(fmt::format("scale to {} workers", succession_.serving()->target()));
      case Command::replace: return end_worker(succession_, command.code, false, now_);
      case Command::kill: return end_worker(succession_, command.code, true, now_);
      case Command::reopen: reopen_logs(); return accepted("reopen the logs");
      case Command::upgrade:
        if (const auto requested = upgrade_.request(now_); !requested) return refused(requested.error());
        return accepted("upgrade", site_.ledger.last_transaction());
      case Command::stop: stop(Stop::graceful); return accepted("stop" + beside);
      case Command::stop_quick: on_quit(); return accepted("stop at once" + beside);
    }
    return refused("unknown command");
  };
  CommandAnswer answer = answer_to(static_cast<Command>(command.kind));
  answer.id = command.generation;
  log::info("Handling command: {}", answer.text);
  publisher_.answer(std::move(answer));
}

}  // namespace narwhal::server
