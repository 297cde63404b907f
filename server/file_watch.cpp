#include "server/file_watch.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <utility>

#include "core/log.hpp"
#include "server/path_pattern.hpp"

namespace narwhal::server {
namespace {

namespace fs = std::filesystem;

// Not IN_MODIFY: a writer closes the file in the end. IN_ATTRIB: utimes(2).
constexpr std::uint32_t signs = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB;
constexpr std::uint32_t ends = IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT;

}  // namespace

void FileWatch::begin(ReloadEngine engine, Instant now) {
  on_ = true;
  engine_ = engine;
  open_inotify();
  note_event(now);  // changes until now were not watched
}

void FileWatch::end() { *this = FileWatch(); }

FileWatch::Stamp FileWatch::stamp_of(const std::string& path) {
  struct stat entry {};
  if (::stat(path.c_str(), &entry) != 0) return {};
  return {entry.st_ino, static_cast<std::uint64_t>(entry.st_size),
          std::chrono::seconds(entry.st_mtim.tv_sec) + std::chrono::nanoseconds(entry.st_mtim.tv_nsec)};
}

void FileWatch::add(const std::string& path, std::uint64_t number, Instant now) {
  if (!on_) return;
  const std::size_t files_before = files_.size();
  enter(path, number);
  if (files_.size() > files_before) note_event(now);  // a change between its stamp and its watch would go unnoticed
}

void FileWatch::add_pattern(const std::string& pattern, std::uint64_t number, Instant now) {
  if (!on_) return;
  patterns_[pattern] = number;
  expand(pattern, number, nullptr);
  note_event(now);
}

void FileWatch::enter(const std::string& path, std::uint64_t number) {
  if (files_.size() >= files_max) return;
  const auto [entry, is_new] = files_.try_emplace(path, File{{}, number});
  entry->second.number = std::max(entry->second.number, number);
  if (!is_new) return;
  entry->second.stamp = stamp_of(path);
  watch_around(path);
}

void FileWatch::expand(const std::string& pattern, std::uint64_t number, std::vector<std::string>* added) {
  const Expansion found = expand_pattern(pattern);
  for (const std::string& folder : found.folders) {
    open_folders_.insert(folder);
    watch_folder(folder);
  }
  for (const std::string& path : found.files) {
    if (added != nullptr && !files_.contains(path)) added->push_back(path);
    enter(path, number);
  }
}

// A new inotify for the remaining files: their paths may lead elsewhere now, through links that a deployment has
// changed.
void FileWatch::forget_before(std::uint64_t number, ReloadEngine engine, Instant now) {
  if (!on_) return;
  std::erase_if(files_, [&](const auto& file) { return file.second.number < number; });
  std::erase_if(patterns_, [&](const auto& pattern) { return pattern.second < number; });
  begin(engine, now);
}

void FileWatch::open_inotify() {
  names_.clear();
  open_folders_.clear();
  watches_.clear();
  missing_folders_.clear();
  inotify_ = Fd();
  if (engine_ == ReloadEngine::poll) return;
  inotify_ = Fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify_) return give_up_inotify(errno_error("inotify_init").message);
  for (const auto& [path, file] : files_) watch_around(path);
  for (const auto& [pattern, number] : patterns_) expand(pattern, number, nullptr);
}

void FileWatch::give_up_inotify(const std::string& reason) {
  log::warning("Reloader: {}: checking the files once a second instead", reason);
  engine_ = ReloadEngine::poll;
  inotify_ = Fd();
}

// Its folder and, if it is a link, the folder of its target.
void FileWatch::watch_around(const std::string& path) {
  std::error_code gone;
  for (const fs::path& way : {fs::path(path), fs::canonical(path, gone)}) {
    if (!way.has_filename()) continue;
    names_.insert(way.filename());
    watch_folder(way.parent_path());
  }
}

void FileWatch::watch_folder(const std::string& folder) {
  if (!inotify_ || watches_.contains(folder)) return;
  const int watch =
      ::inotify_add_watch(inotify_.get(), folder.c_str(), signs | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);
  if (watch >= 0) {
    watches_.emplace(folder, watch);
    missing_folders_.erase(folder);
  } else if (errno == ENOSPC || errno == ENOMEM) {
    give_up_inotify(errno_error("watch " + folder).message + " (fs.inotify.max_user_watches)");
  } else {
    missing_folders_.insert(folder);
  }
}

void FileWatch::folder_is_gone(int watch) {
  for (auto entry = watches_.begin(); entry != watches_.end();) {
    const bool is_lost = entry->second == watch;
    if (is_lost) missing_folders_.insert(entry->first);
    entry = is_lost ? watches_.erase(entry) : std::next(entry);
  }
}

Instant FileWatch::next_deadline() const { return on_ ? due_ : never; }

void FileWatch::read_events(Instant now) {
  alignas(inotify_event) char bytes[16 * 1024];
  while (inotify_) {
    const ssize_t size = ::read(inotify_.get(), bytes, sizeof bytes);
    if (size <= 0) return;
    for (const char* at = bytes; at < bytes + size;) {
      inotify_event event{};
      std::memcpy(&event, at, sizeof event);
      read_event(event, event.len > 0 ? at + sizeof event : "", now);
      at += sizeof event + event.len;
    }
  }
}

void FileWatch::read_event(const inotify_event& event, const char* name, Instant now) {
  if ((event.mask & IN_Q_OVERFLOW) != 0) return note_event(now);
  const auto known =
      std::find_if(watches_.begin(), watches_.end(), [&](const auto& watch) { return watch.second == event.wd; });
  if (known == watches_.end()) return;
  if ((event.mask & ends) != 0) {
    folder_is_gone(event.wd);
    ::inotify_rm_watch(inotify_.get(), event.wd);  // a folder that was moved would still be watched
    return note_event(now);
  }
  if (may_have_changed(event, known->first, name)) note_event(now);
}

bool FileWatch::may_have_changed(const inotify_event& event, const std::string& folder, const std::string& name) const {
  if (!names_.contains(name) && !open_folders_.contains(folder)) return false;
  if ((event.mask & IN_CREATE) == 0) return true;
  // A new file is about to be written and then closed; a link is complete at once.
  struct stat entry {};
  const bool is_there = ::lstat((folder + "/" + name).c_str(), &entry) == 0;
  return is_there && (!S_ISREG(entry.st_mode) || entry.st_nlink > 1);
}

void FileWatch::note_event(Instant now) {
  if (burst_began_ == unset) burst_began_ = now;
  due_ = std::min(now + quiet_for, burst_began_ + burst_max);
}

std::vector<std::string> FileWatch::changed(Instant now) {
  std::vector<std::string> paths;
  if (!on_ || now < due_) return paths;
  burst_began_ = unset;
  for (const std::string& folder : std::exchange(missing_folders_, {})) watch_folder(folder);
  for (auto& [path, file] : files_) {
    const Stamp stamp = stamp_of(path);
    if (stamp == Stamp{} || stamp == file.stamp) continue;
    file.stamp = stamp;
    paths.push_back(path);
  }
  for (const auto& [pattern, number] : patterns_) expand(pattern, number, &paths);
  due_ = !inotify_ || !missing_folders_.empty() ? now + poll_every : never;
  return paths;
}

}  // namespace narwhal::server
