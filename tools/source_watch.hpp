// SourceWatch: tells that a source below a folder has changed. build/ and hidden folders are left out.
// Errors  open() fails if inotify is used up; a folder that cannot be watched is left out.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "core/fd.hpp"
#include "core/result.hpp"

namespace narwhal::tools {

class SourceWatch {
 public:
  static Result<SourceWatch> open(const std::filesystem::path& folder);

  int descriptor() const noexcept { return inotify_.get(); }  // readable: call has_changed()
  // True: a source was written, came or went since the last call.
  bool has_changed();
  // The sources that has_changed() has seen written. A build that began before such a change may have ended after it: by
  // their times, what it has made is newer.
  const std::set<std::filesystem::path>& written() const noexcept { return written_; }
  void forget_written() noexcept { written_.clear(); }

 private:
  explicit SourceWatch(Fd inotify) noexcept : inotify_(std::move(inotify)) {}
  void add(const std::filesystem::path& folder);

  Fd inotify_;
  std::map<int, std::filesystem::path> folders_;
  std::set<std::filesystem::path> written_;
};

}  // namespace narwhal::tools
