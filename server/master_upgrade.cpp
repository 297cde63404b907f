// The master beside another one: what the events of an upgrade change, and what only one of the two can have.
#include <utility>

#include "core/app_title.hpp"
#include "core/log.hpp"
#include "core/process_title.hpp"
#include "server/master.hpp"
#include "server/unit_advice.hpp"

namespace narwhal::server {

ListenerList Master::listeners_to_hand_over() {
  return admin_.listeners_after(succession_.serving()->plan().listeners);
}

void Master::new_master_starts(pid_t pid) {
  announcer_.set_upgrade(fmt::format("Upgrade: a new master (pid:{}) starts", pid));
}

void Master::new_master_ready(pid_t pid) {
  announcer_.set_upgrade(fmt::format("Upgrade: a new master (pid:{}) serves, too", pid));
  announcer_.hand_over(pid);
  admin_.pause();
}

void Master::took_back(const std::string& why) {
  announcer_.upgrade_ended(why);
  if (succession_.serving()->target() == 0) log::info("The workers that WINCH has retired are started again");
  succession_.restore_workers();
  admin_.resume(now_);
  announcer_.be_main(succession_);
}

void Master::became_main() { announcer_.be_main(succession_); }

void Master::promoted() {
  set_title(config());
  announcer_.be_main(succession_);
  announcer_.confirm_main();
}

// While the master that has started this one lives, it has the name and the pid file, as with Gunicorn.
void Master::set_title(const Config& config) const {
  const char* const number = upgrade_.has_predecessor() ? ".2" : "";
  set_process_title(fmt::format("narwhal: master{} [{}]", number, app_title(config)));
}

std::string Master::pidfile_path(const Config& config) const {
  return config.pidfile.empty() || !upgrade_.has_predecessor() ? config.pidfile : config.pidfile + ".2";
}

Result<Done> Master::move_pidfile(const std::string& path) {
  std::optional<Pidfile> moved;
  if (!path.empty()) {
    auto created = advised(Pidfile::create(path), UnitMeans::pidfile);
    if (!created) return Error{created.error()};
    moved.emplace(*std::move(created));
  }
  pidfile_.reset();
  if (moved) pidfile_.emplace(*std::move(moved));
  return Done{};
}

}  // namespace narwhal::server
