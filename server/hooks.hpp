// Hooks: the master's hooks of one gunicorn.conf.py as calls; none if the file has none. A cheap copy.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/joined.hpp"
#include "server/hook_process.hpp"
#include "server/sockets/listeners.hpp"

namespace narwhal::server {

class Hooks {
 public:
  Hooks() = default;
  // `reading` has given its answer, and `config` was made of it. Ends its process if that is not needed.
  Hooks(std::optional<PythonConfigReading> reading, const Config& config) {
    // A parameter lives until the end of the caller's statement, which may run the whole server.
    std::optional<PythonConfigReading> taken = std::exchange(reading, std::nullopt);
    if (taken && config.has_master_hooks) process_ = std::make_shared<HookProcess>(*std::move(taken), config);
  }

  void on_starting() const { call("on_starting"); }
  void when_ready() const { call("when_ready"); }
  void on_reload() const { call("on_reload"); }
  void on_exit() const { call("on_exit"); }
  void pre_exec() const { call("pre_exec"); }
  // `before`: none at the start.
  void workers_changed(unsigned now, std::optional<unsigned> before) const {
    call("nworkers_changed " + std::to_string(now) + " " + (before ? std::to_string(*before) : "-"));
  }
  void listen_at(const ListenerList& listeners) const {
    call("listeners " + joined(listeners, " ", [](const auto& each) -> const std::string& { return each->address; }));
  }
  void pre_fork(std::uint32_t slot) const { call("pre_fork " + age(slot)); }
  void forked(std::uint32_t slot, pid_t pid) const { call("forked " + age(slot) + " " + std::to_string(pid)); }
  void child_exit(std::uint32_t slot, pid_t pid) const { call("child_exit " + age(slot) + " " + std::to_string(pid)); }

  HookProcess* process() const { return process_.get(); }
  bool idle() const { return process_ == nullptr || process_->idle(); }

 private:
  // The worker's number, as in its title.
  static std::string age(std::uint32_t slot) { return std::to_string(slot + 1); }
  void call(std::string message) const {
    if (process_) process_->call(std::move(message));
  }

  std::shared_ptr<HookProcess> process_;
};

}  // namespace narwhal::server
