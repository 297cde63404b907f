// Files that plugins name as those that the application was made from: reported to the master, which watches them under
// `reload`.
// Why there  the master outlives every generation. The files of a generation that could not boot must be watched, too, so
//            that the repaired file reloads; a watch in its workers would have ended with them.
// Errors     watch_file(): a code of plugin.h.
// Threads    watch_file(): any. report_watched_files(): before there is a second one.
#pragma once

#include <cstdint>
#include <string_view>

namespace narwhal::worker {

struct MasterSocket {
  int descriptor = -1;  // not owned
  std::uint32_t slot = 0;
  std::uint64_t generation = 0;
};

// From now on, and to this master. Until then watch_file() gives NARWHAL_STATE: `reload` is off.
void report_watched_files(MasterSocket master);

// narwhal_host::watch. Waits, a few seconds at most, while the master's queue is full.
int watch_file(std::string_view path);

}  // namespace narwhal::worker
