#include "server/leftovers.hpp"

#include <poll.h>
#include <signal.h>

#include "core/child.hpp"

namespace narwhal::server {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds end_limit{2};

}  // namespace

void Leftovers::end_group(pid_t leader, Instant now) {
  if (signal_group(leader, SIGTERM)) groups_.push_back({leader, now + end_limit});
}

void Leftovers::settle(Instant now) {
  // A number is not given to another group while one process of this one is left.
  std::erase_if(groups_, [&](const Group& group) {
    if (now >= group.kill_at) signal_group(group.leader, SIGKILL);
    return now >= group.kill_at || !signal_group(group.leader, 0);
  });
}

void Leftovers::finish() {
  while (!groups_.empty()) {
    while (reap_any()) {
    }
    settle(narwhal::now());
    if (!groups_.empty()) ::poll(nullptr, 0, 5);
  }
}

}  // namespace narwhal::server
