// StageArea: the folder for the running generations' private copies of plugins.
// Layout     <folder>/<digest>/<absolute path of the source>, files 0555, folders 0755: workers of another user can
//            read them, nobody can write. A file is complete or absent.
// Ownership  the process that made the folder removes it; a forked child's copy of the object removes nothing.
// Killed     a killed master leaves its folder. The next start removes it if it may: in its own place and in the default
//            ones, its own user's; root's start removes any user's. One in a former `stage_dir` stays.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/fd.hpp"
#include "core/result.hpp"
#include "core/seat.hpp"

namespace narwhal::server {

class StageArea {
 public:
  // Below `stage_dir`; if that is empty, below the first of default_stage_places() from which programs may be run. If there
  // is none, as in a container on a read-only root, the area has no folder: see put().
  static Result<StageArea> create(const std::string& stage_dir);
  // The first of `places` where a folder can be made and programs may be run from.
  static Result<StageArea> create_in(const std::vector<std::string>& places);
  StageArea(StageArea&& other) noexcept;
  StageArea& operator=(StageArea&&) = delete;
  ~StageArea();

  // The area of a server that has found no place for it, for the reason `fault`.
  static StageArea without_folder(std::string fault);
  // One that makes no copies: every plugin is loaded from its source, for a debugger.
  static StageArea of_sources();

  const std::string& folder() const noexcept { return folder_; }  // empty: none
  // The path of the copy of `source_path` (absolute, without "..") under `digest`; written unless it exists already.
  // Without a folder: `source_path` itself if its file system is mounted read-only, because nothing that runs here can
  // overwrite it; else an Error with the reason why there is no folder. of_sources(): always `source_path`.
  Result<std::string> put(const std::string& digest, const std::string& source_path, std::string_view bytes);
  // Makes a folder of the source's tree below `digest`, so that the same paths work below it.
  Result<std::string> put_folder(const std::string& digest, const std::string& source_folder);
  // Removes every copy that is not among these.
  void keep_only(const std::vector<StagedPlugin>& in_use);

 private:
  StageArea(std::string folder, Fd lock) noexcept;
  Result<Done> restore();
  Result<std::string> in_place(const std::string& source_path) const;
  std::string folder_;
  std::string fault_;  // why there is no folder; empty: none is wanted
  Fd lock_;            // flock: shows that the owner is alive, and keeps systemd-tmpfiles from cleaning the folder
  pid_t owner_;
};

// $XDG_RUNTIME_DIR if every user may enter it, /tmp, /dev/shm, /var/tmp.
std::vector<std::string> default_stage_places();

}  // namespace narwhal::server
