#include "worker/watched_files.hpp"

#include <poll.h>

#include "core/seat.hpp"
#include "narwhal/plugin.h"

namespace narwhal::worker {
namespace {

constexpr std::chrono::milliseconds wait_for{100};
constexpr int waits_max = 30;

// The process's: a plugin's call has no argument that would lead to them.
MasterSocket reported_to;
CodeFiles* compared_with = nullptr;
bool is_set_up = true;

}  // namespace

void report_watched_files(MasterSocket master) { reported_to = master; }

void begin_set_up(CodeFiles* compared) {
  compared_with = compared;
  is_set_up = false;
}

void end_set_up() {
  compared_with = nullptr;
  is_set_up = true;
}

int watch_file(std::string_view path) {
  if (reported_to.descriptor < 0 && is_set_up) return NARWHAL_STATE;
  const bool fits = path.size() < sizeof(Record::text) && path.find('\0') == std::string_view::npos;
  if (!fits || !path.starts_with('/')) return NARWHAL_REFUSED;
  if (compared_with != nullptr) compared_with->compare(path);
  if (reported_to.descriptor < 0) return NARWHAL_OK;
  const Record record = make_record(Report::watch, reported_to.slot, reported_to.generation, path);
  for (int waits = 0; waits < waits_max; ++waits) {
    if (send_record(reported_to.descriptor, record)) return NARWHAL_OK;
    // A thousand modules are more than the socket holds. The master makes room.
    pollfd wait{.fd = reported_to.descriptor, .events = POLLOUT, .revents = 0};
    ::poll(&wait, 1, static_cast<int>(wait_for.count()));
    if ((wait.revents & (POLLHUP | POLLERR)) != 0) break;
  }
  return NARWHAL_ERROR;
}

}  // namespace narwhal::worker
