// The files that the workers of one generation were made from. Without preload each worker imports by itself: one that is
// started after a file was changed would run other code than its siblings, and nobody would know.
// Memory   shared by all workers of the generation, also those of a later template. Full: further files are not compared.
// Trust    plugin code may have overwritten it: what is wrong then is a line in the log.
// Threads  one at a time in a process; processes at any time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/fd.hpp"

namespace narwhal::worker {

class CodeFiles {
 public:
  explicit CodeFiles(Fd memory);  // in the template, before its first fork; without memory nothing is compared
  ~CodeFiles();
  CodeFiles(const CodeFiles&) = delete;
  CodeFiles& operator=(const CodeFiles&) = delete;

  // This worker was made from that file, an absolute path. The first worker that names a file decides how it must be.
  void compare(std::string_view path) noexcept;
  // "/srv/shop.py" or "/srv/shop.py and 2 others": those that this worker has found changed. Empty if there is none.
  std::string changed_text() const;

 private:
  struct File {
    std::atomic<std::uint64_t> path{0};   // a digest; 0: not used yet
    std::atomic<std::uint64_t> state{0};  // a digest of size and time of change, by the first worker; 0: none yet
  };
  static constexpr std::size_t files_max = 8192;

  File* find_or_add(std::uint64_t path) noexcept;  // null: full

  File* files_ = nullptr;
  std::size_t next_ = 0;
  std::string first_changed_;
  std::size_t changed_ = 0;
};

}  // namespace narwhal::worker
