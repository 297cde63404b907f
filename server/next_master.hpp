// NextMaster: the new master that an upgrade (USR2) starts: this program again, from its path, with the listening sockets.
// Life      none -> start() -> starting -> serving -> none. One that does not get ready is ended: it gets SIGTERM, and
//           SIGKILL if it does not end by that.
// Time      from its start, and again from each step that it reports, it has twice boot_timeout and 5 s.
// Blocks    never.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "core/clock.hpp"
#include "core/result.hpp"
#include "server/config/load_config.hpp"
#include "server/sockets/listeners.hpp"
#include "server/upgrade_channel.hpp"

namespace narwhal::server {

// A program as it was started.
struct Program {
  std::string path;  // absolute; links in it are followed again when it is executed
  std::vector<std::string> arguments;
  std::map<std::string, std::string> variables;
  std::string directory;
};
// This one. `environment` is that of its start.
Program own_program(int argc, const char* const* argv, const Environment& environment);

class NextMaster {
 public:
  enum class State { none, starting, serving, ending };
  enum class Event {
    none,
    ready,    // it serves
    leaving,  // it has served, and was stopped by a signal
    failed,   // it ended or was ended before it served: reason()
    ended,    // it has served, and has ended: reason()
  };

  Result<Done> start(const Program& program, const ListenerList& listeners, std::chrono::seconds boot_timeout,
                     Instant now);
  int descriptor() const { return channel_.descriptor(); }
  Instant deadline() const { return deadline_; }
  // What has happened since the last call: call it until there is nothing more.
  Event settle(Instant now);
  // A child of this process has ended. True: it was this one.
  bool reaped(pid_t pid, int status);
  void send(std::string_view message) const { channel_.send(message); }
  // This server ends: the other one goes on, unless it has failed.
  void let_go();

  State state() const { return state_; }
  pid_t pid() const { return pid_; }
  const std::string& reason() const { return reason_; }
  bool ended_in_order() const { return status_ == 0; }

 private:
  Event take_message(const std::string& message, Instant now);
  Event take_end();
  Event check_time(Instant now);
  void give_more_time(Instant now);

  State state_ = State::none;
  pid_t pid_ = 0;
  UpgradeChannel channel_;
  std::chrono::seconds limit_{0};
  Instant deadline_ = never;
  std::string reported_, reason_;
  bool has_ended_ = false;
  int status_ = 0;  // as waitpid() gave it
};

}  // namespace narwhal::server
