// Files that plugins say the application was made from: handed on to the master, which watches them under `reload`.
// Why there  the master outlives every generation. What a generation that could not boot had named is watched on, so that
//            the repaired file reloads; a watch in its workers would have gone with them.
// Threads    watch_file() from any; tell_watched_files() before there is a second one.
#pragma once

#include <cstdint>
#include <string_view>

namespace narwhal::worker {

struct MasterSocket {
  int descriptor = -1;
  std::uint32_t slot = 0;
  std::uint64_t generation = 0;
};

// From now on, and to whom. Until then nobody asks: `reload` is off.
void tell_watched_files(MasterSocket master);

// narwhal_host::watch. Waits, at most a few seconds, while the master has not read earlier records.
int watch_file(std::string_view path);

}  // namespace narwhal::worker
