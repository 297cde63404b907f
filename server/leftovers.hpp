// Leftovers: what the code of an operator or an application has started in a process of the server while it was loaded, and
// left behind when that process ended. They are of the process group that it led then (core/signals.hpp: lead_group()),
// unless they have made a session or a group of their own.
// Blocks    never, apart from finish().
#pragma once

#include <sys/types.h>

#include <chrono>
#include <vector>

#include "core/clock.hpp"

namespace narwhal::server {

class Leftovers {
 public:
  // The leader of a group has ended. The others get SIGTERM now, and SIGKILL if they do not end.
  void end_group(pid_t leader, Instant now);
  void settle(Instant now);
  Instant deadline() const { return groups_.empty() ? never : groups_.front().kill_at; }
  // Waits for them, for the same time; reaps every child.
  void finish();

 private:
  struct Group {
    pid_t leader;
    Instant kill_at;
  };
  std::vector<Group> groups_;  // in the order of time
};

}  // namespace narwhal::server
