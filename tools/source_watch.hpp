// SourceWatch: tells that a source below a folder has changed. build/ and hidden folders are left out.
// Errors  open() fails if inotify is used up; a folder that cannot be watched is left out.
#pragma once

#include <filesystem>
#include <map>
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

 private:
  explicit SourceWatch(Fd inotify) noexcept : inotify_(std::move(inotify)) {}
  void add(const std::filesystem::path& folder);

  Fd inotify_;
  std::map<int, std::filesystem::path> folders_;
};

}  // namespace narwhal::tools
