#include "worker/watched_files.hpp"

#include <poll.h>

#include "core/seat.hpp"
#include "narwhal/plugin.h"

namespace narwhal::worker {
namespace {

constexpr std::chrono::milliseconds wait_for{100};
constexpr int waits_max = 30;

MasterSocket master_socket;  // the process's: a plugin's call brings nothing along that would lead to it

}  // namespace

void tell_watched_files(MasterSocket master) { master_socket = master; }

int watch_file(std::string_view path) {
  if (master_socket.descriptor < 0) return NARWHAL_STATE;
  const bool fits = path.size() < sizeof(Record::text) && path.find('\0') == std::string_view::npos;
  if (!fits || !path.starts_with('/')) return NARWHAL_REFUSED;
  const Record record = make_record(Report::watch, master_socket.slot, master_socket.generation, path);
  for (int waits = 0; waits < waits_max; ++waits) {
    if (send_record(master_socket.descriptor, record)) return NARWHAL_OK;
    // A thousand modules are more than the socket holds; the master reads on.
    pollfd wait{.fd = master_socket.descriptor, .events = POLLOUT, .revents = 0};
    ::poll(&wait, 1, static_cast<int>(wait_for.count()));
    if ((wait.revents & (POLLHUP | POLLERR)) != 0) break;
  }
  return NARWHAL_ERROR;
}

}  // namespace narwhal::worker
