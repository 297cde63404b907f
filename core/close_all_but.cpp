#include "core/close_all_but.hpp"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace narwhal {
namespace {

// Kernels before 5.9 and sandboxes that refuse new system calls have no close_range().
void close_by_listing(const std::vector<int>& sorted) {
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return;
  std::vector<int> found;  // closed after the walk: the folder must not change under it
  while (const dirent* entry = ::readdir(folder)) {
    const int fd = std::atoi(entry->d_name);
    if (fd > 2 && fd != ::dirfd(folder) && !std::binary_search(sorted.begin(), sorted.end(), fd)) found.push_back(fd);
  }
  ::closedir(folder);
  for (const int fd : found) ::close(fd);
}

}  // namespace

void close_all_but(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned first = 3;
  bool done = true;
  for (const int fd : keep) {
    if (fd < 3) continue;
    const auto kept = static_cast<unsigned>(fd);
    if (kept > first) done = ::close_range(first, kept - 1, 0) == 0 && done;
    first = kept + 1;
  }
  done = ::close_range(first, ~0u, 0) == 0 && done;
  if (!done) close_by_listing(keep);
}

}  // namespace narwhal
