// Folder: the folder that is served. Nothing outside of it is opened, whatever a name or a symbolic link in it says.
// Beneath    the kernel checks each step of a path (openat2 with RESOLVE_BENEATH), so that there is no moment between
//            check and use. Symbolic links that stay below the folder are followed. On a kernel without openat2 (before
//            5.6), and where a filter refuses it, each segment is opened by itself, and no symbolic link is followed.
// Replaced   when the path names another folder than before, as after `current -> release-42`, requests get that one: it
//            is compared at most once a second. While the path names none, the last one is used.
// Ownership  it owns the folder's descriptor; open() gives one to the caller.
// Errors     open() sets errno. The constructor throws std::runtime_error, with what to do.
// Threads    any number at once.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "plugins/static/fd.hpp"

namespace narwhal::static_files {

// How a path below a folder is opened. Both set errno and own nothing on failure.
// `below`: "a/b" or "."; `flags`: of open(2). ENOSYS, or EPERM by a filter, without openat2.
Fd open_beneath(int folder, const std::string& below, int flags) noexcept;
Fd open_step_by_step(int folder, const std::string& below, int flags) noexcept;

class Folder {
 public:
  explicit Folder(std::string path);

  // "" is the folder itself. The caller says O_RDONLY, O_DIRECTORY or O_PATH; the rest is added here, so that neither a FIFO
  // nor a terminal does anything.
  Fd open(const std::string& below, int flags);
  const std::string& path() const noexcept { return path_; }

 private:
  std::shared_ptr<const Fd> root();
  void look_again();

  const std::string path_;
  bool has_openat2_ = true;
  std::atomic<long> looked_at_ = 0;  // seconds of CLOCK_MONOTONIC_COARSE
  std::mutex mutex_;                 // guards what follows
  std::shared_ptr<const Fd> root_;
  struct stat facts_ {};   // of root_
  bool reported_ = false;  // that the path names no folder
};

}  // namespace narwhal::static_files
