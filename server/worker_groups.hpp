// WorkerGroups: a cgroup (v2) of its own for each worker, which limits its memory: the setting worker_memory_max.
//   SERVICE/narwhal-server      master, template and all others
//   SERVICE/narwhal-worker-PID  one worker, with what it has started
// Where    the group of the server is delegated to it (systemd's Delegate=yes, a container with a writable cgroup), or holds
//          only the server. Else one warning says so, and the workers have no limit.
// Blocks   only as files of the kernel do.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "core/result.hpp"

namespace narwhal::server {

class WorkerGroups {
 public:
  WorkerGroups() = default;
  WorkerGroups(const WorkerGroups&) = delete;
  WorkerGroups& operator=(const WorkerGroups&) = delete;
  ~WorkerGroups();

  // A worker has begun; `bytes` is its limit, 0: none.
  void enter(pid_t pid, std::size_t bytes);
  // It was reaped. True if the kernel has killed it because of its limit.
  bool ended(pid_t pid);

 private:
  enum class State { unknown, on, off };

  Result<Done> begin();
  Result<Done> put(pid_t pid, std::size_t bytes);
  std::string folder_of(pid_t pid) const;
  void remove_empty();
  void undo();

  State state_ = State::unknown;
  std::string service_;  // the folder of the group that is the server's
  std::set<pid_t> entered_, to_remove_;
};

}  // namespace narwhal::server
