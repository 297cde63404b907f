#include "server/staging/stage_area.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <utility>

#include "core/check.hpp"
#include "core/joined.hpp"
#include "core/write_all.hpp"

namespace narwhal::server {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view folder_prefix = "narwhal-";
constexpr std::size_t random_letters = 6;
// A file in each area, made after the lock was taken: a folder without it is removed only if it is empty.
constexpr std::string_view marker = ".narwhal-stage";
// An empty folder of this age does not belong to a start that is about to mark it.
constexpr std::time_t unmarked_age_s = 60;

void remove_tree(const std::string& folder) noexcept {
  std::error_code ignored;  // what cannot be removed now stays until the next start
  fs::remove_all(folder, ignored);
}

Result<Fd> lock_folder(const std::string& folder, int how) {
  Fd lock(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!lock) return errno_error("open " + folder);
  if (::flock(lock.get(), how) < 0) return errno_error("lock " + folder);
  return lock;
}

// The marker last: if this is interrupted, the next start goes on with it.
void remove_area(const std::string& folder) noexcept try {
  std::error_code failure;
  std::vector<std::string> others;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure)) {
    if (entry->path().filename() != marker) others.push_back(entry->path().string());
  }
  for (const std::string& other : others) remove_tree(other);
  remove_tree(folder);
} catch (const std::exception&) {
  // Without memory it stays until the next start.
}

// Removes a folder whose owner was killed: one by name and marker, of our user (root: of any), and its lock is free.
void remove_if_abandoned(const fs::path& folder) {
  const auto lock = lock_folder(folder.string(), LOCK_EX | LOCK_NB);
  struct stat entry {};
  if (!lock || ::fstat(lock->get(), &entry) != 0) return;
  if (entry.st_uid != ::geteuid() && ::geteuid() != 0) return;
  if (::faccessat(lock->get(), marker.data(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) return remove_area(folder.string());
  if (std::time(nullptr) - entry.st_mtime > unmarked_age_s) ::rmdir(folder.c_str());
}

void remove_abandoned(const std::string& place) {
  std::error_code failure;
  for (fs::directory_iterator entry(place, failure), end; !failure && entry != end; entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with(folder_prefix) && name.size() == folder_prefix.size() + random_letters) {
      remove_if_abandoned(entry->path());
    }
  }
}

Result<std::string> make_folder(const std::string& place) {
  struct statvfs mounted {};
  if (::statvfs(place.c_str(), &mounted) < 0) return errno_error(place);
  if ((mounted.f_flag & ST_NOEXEC) != 0) return Error{place + ": mounted noexec, so plugins cannot be loaded from it"};
  std::string folder = place + "/" + std::string(folder_prefix) + std::string(random_letters, 'X');
  if (::mkdtemp(folder.data()) == nullptr) return errno_error(folder);
  return folder;
}

Result<Fd> prepare(const std::string& folder) {
  auto lock = lock_folder(folder, LOCK_EX);  // another start may be checking it right now, briefly
  if (!lock) return lock;
  const Fd marked(::openat(lock->get(), marker.data(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (!marked) return errno_error("mark " + folder);
  // mkdtemp() made it 0700, but workers of another user must be able to enter.
  if (::fchmod(lock->get(), 0755) < 0) return errno_error("chmod " + folder);
  return lock;
}

Result<Done> make_folders(const std::string& area, const std::string& below) {
  for (std::size_t at = 0; at != std::string::npos;) {
    at = below.find('/', at + 1);
    const std::string folder = area + below.substr(0, at);
    if (::mkdir(folder.c_str(), 0755) < 0) {
      if (errno != EEXIST) return errno_error("make directory " + folder);
    } else if (::chmod(folder.c_str(), 0755) < 0) {  // whatever our umask is
      return errno_error("chmod " + folder);
    }
  }
  return Done{};
}

Result<Done> write_file(const std::string& path, std::string_view bytes) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0700));
  if (!file) return errno_error("create " + path);
  if (!write_all(file.get(), bytes)) return errno_error("write " + path);
  if (::fchmod(file.get(), 0555) < 0) return errno_error("chmod " + path);
  return Done{};
}

}  // namespace

StageArea::StageArea(std::string folder, Fd lock) noexcept
    : folder_(std::move(folder)), lock_(std::move(lock)), owner_(::getpid()) {}

StageArea::StageArea(StageArea&& other) noexcept
    : folder_(std::exchange(other.folder_, {})),
      fault_(std::move(other.fault_)),
      lock_(std::move(other.lock_)),
      owner_(other.owner_) {}

StageArea::~StageArea() {
  if (!folder_.empty() && owner_ == ::getpid()) remove_area(folder_);
}

Result<StageArea> StageArea::create(const std::string& stage_dir) {
  const std::vector<std::string> places = default_stage_places();
  // All of them: the server that was killed may have had other settings, or a place that cannot be used now.
  for (const std::string& place : places) remove_abandoned(place);
  if (!stage_dir.empty()) return create_in({stage_dir});
  auto area = create_in(places);
  return area ? std::move(area) : without_folder(area.error());
}

StageArea StageArea::of_sources() { return StageArea({}, Fd()); }

StageArea StageArea::without_folder(std::string fault) {
  StageArea area({}, Fd());
  area.fault_ = std::move(fault);
  return area;
}

Result<StageArea> StageArea::create_in(const std::vector<std::string>& places) {
  std::vector<std::string> faults;
  for (const std::string& place : places) {
    const auto folder = make_folder(place);
    if (!folder) {
      faults.push_back(folder.error());
      continue;
    }
    auto lock = prepare(*folder);
    if (!lock) {
      remove_tree(*folder);
      return Error{"stage_dir: " + lock.error()};
    }
    remove_abandoned(place);
    return StageArea(*folder, std::move(*lock));
  }
  return Error{"stage_dir: no usable directory for private copies of plugins: " + joined(faults, "; ")};
}

// A cleaner of /tmp may have removed the folder: the next reload makes it again.
Result<Done> StageArea::restore() {
  if (::access(folder_.c_str(), F_OK) == 0) return Done{};
  if (::mkdir(folder_.c_str(), 0700) < 0) return errno_error("make directory " + folder_ + " again");
  auto lock = prepare(folder_);
  if (!lock) return Error{lock.error()};
  lock_ = *std::move(lock);
  return Done{};
}

Result<std::string> StageArea::in_place(const std::string& source_path) const {
  if (fault_.empty()) return source_path;
  struct statvfs mounted {};
  if (::statvfs(source_path.c_str(), &mounted) < 0) return errno_error(source_path);
  if ((mounted.f_flag & ST_RDONLY) == 0) return Error{fault_};
  return source_path;
}

Result<std::string> StageArea::put(const std::string& digest, const std::string& source_path, std::string_view bytes) {
  NARWHAL_CHECK(source_path.starts_with('/'));
  if (folder_.empty()) return in_place(source_path);
  const std::string below = "/" + digest + source_path;
  const std::string copy = folder_ + below;
  if (auto restored = restore(); !restored) return Error{restored.error()};
  if (::access(copy.c_str(), F_OK) == 0) return copy;
  if (auto made = make_folders(folder_, below.substr(0, below.rfind('/'))); !made) return Error{made.error()};
  // Renamed when complete, so that a full disk never leaves an incomplete plugin under its final name.
  const std::string unfinished = copy + ".part";
  if (auto written = write_file(unfinished, bytes); !written) {
    ::unlink(unfinished.c_str());
    return Error{written.error()};
  }
  if (::rename(unfinished.c_str(), copy.c_str()) < 0) return errno_error("rename " + unfinished);
  return copy;
}

Result<std::string> StageArea::put_folder(const std::string& digest, const std::string& source_folder) {
  NARWHAL_CHECK(source_folder.starts_with('/'));
  if (folder_.empty()) return in_place(source_folder);
  const std::string below = "/" + digest + source_folder;
  if (auto restored = restore(); !restored) return Error{restored.error()};
  if (auto made = make_folders(folder_, below); !made) return Error{made.error()};
  return folder_ + below;
}

void StageArea::keep_only(const std::vector<StagedPlugin>& in_use) {
  if (folder_.empty()) return;
  std::error_code failure;
  std::vector<std::string> unused;
  for (fs::directory_iterator entry(folder_, failure), end; !failure && entry != end; entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    const bool used = std::any_of(in_use.begin(), in_use.end(),
                                  [&name](const StagedPlugin& plugin) { return plugin.digest == name; });
    if (!used && name != marker) unused.push_back(entry->path().string());
  }
  for (const std::string& folder : unused) remove_tree(folder);
}

std::vector<std::string> default_stage_places() {
  std::vector<std::string> places;
  struct stat entry {};
  const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
  // A user's own is usually 0700: workers of another user could not enter it.
  const bool passable = runtime != nullptr && runtime[0] == '/' && ::stat(runtime, &entry) == 0 &&
                        ((entry.st_mode & S_IXOTH) != 0 || ::geteuid() != 0);
  if (passable) places.emplace_back(runtime);
  places.insert(places.end(), {"/tmp", "/dev/shm", "/var/tmp"});
  return places;
}

}  // namespace narwhal::server
