// Files that plugins name as those that the application was made from. Under `reload` they are reported to the master, which
// watches them. While a worker is set up they are compared with those of its siblings.
// Why there  the master outlives every generation. The files of a generation that could not boot must be watched, too, so
//            that the repaired file reloads; a watch in its workers would have ended with them.
// Errors     watch_file(): a code of plugin.h.
// Threads    watch_file(): any, one at a time during the set-up. The others: before there is a second one.
#pragma once

#include <cstdint>
#include <string_view>

#include "worker/code_files.hpp"

namespace narwhal::worker {

struct MasterSocket {
  int descriptor = -1;  // not owned
  std::uint32_t slot = 0;
  std::uint64_t generation = 0;
};

// From now on, and to this master: `reload` is on.
void report_watched_files(MasterSocket master);
// Until end_set_up() files are asked for, whatever `reload` is. `compared` must live as long.
void begin_set_up(CodeFiles* compared);
void end_set_up();

// narwhal_host::watch. Waits, a few seconds at most, while the master's queue is full.
int watch_file(std::string_view path);

}  // namespace narwhal::worker
