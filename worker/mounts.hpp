// Mounts: the applications of this worker, each under its prefix, for its hosts.
// Errors   enter_thread(): false, and a line in the log. The rest cannot fail.
// Threads  route() and iterating: any, because the list never changes. The hooks: where plugin.h says.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "worker/plugin.hpp"
#include "worker/sites.hpp"

namespace narwhal::worker {

class Mounts {
 public:
  // Gives each mount the time limits of its route.
  Mounts(std::vector<std::unique_ptr<Mount>> mounts, const Config& config);

  // The shortest `timeout` of an inline one: so long may a handler keep the loop. A day if there is none.
  std::chrono::milliseconds inline_patience() const;

  // Of the mounts of the request's host (sites.hpp) that with the longest prefix of whole segments of the path, which is
  // compared decoded; null: none.
  Mount* route(std::string_view authority, std::string_view path) const noexcept;

  auto begin() const noexcept { return mounts_.begin(); }
  auto end() const noexcept { return mounts_.end(); }

  // worker_init, then the handler threads with thread_init, then ready_check. `about_to` as for load_plugins();
  // `start_threads` is false when one of them could not be set up, and the log says of which plugin.
  HookResult begin_worker(const BootInfo& info, const AboutTo& about_to,
                          const std::function<bool()>& start_threads) const;

  // The hooks of that name, of each plugin that has one.
  enum class Handlers : std::uint8_t { all, inline_only };  // that the thread may run
  bool enter_thread(Handlers handlers) const;               // thread_init; false: this thread cannot serve
  void leave_thread(Handlers handlers) const;               // thread_exit
  void drain() const;
  void end_worker() const;  // worker_exit

 private:
  std::vector<std::unique_ptr<Mount>> mounts_;  // longest prefix first
  std::unique_ptr<Sites> sites_;                // null: no route has a host
};

}  // namespace narwhal::worker
