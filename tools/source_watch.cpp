#include "tools/source_watch.hpp"

#include <sys/inotify.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace narwhal::tools {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view source_suffixes[] = {".c",  ".cc",  ".cpp", ".cxx", ".h",
                                                ".hh", ".hpp", ".hxx", ".inc", ".rs"};

bool is_source(const fs::path& path) {
  const std::string suffix = path.extension();
  return path.filename() == "Makefile" ||
         std::find(std::begin(source_suffixes), std::end(source_suffixes), suffix) != std::end(source_suffixes);
}

bool is_left_out(const fs::path& folder) {
  const std::string name = folder.filename();
  return name == "build" || (name.size() > 1 && name.front() == '.');
}

}  // namespace

Result<SourceWatch> SourceWatch::open(const fs::path& folder) {
  SourceWatch watch{Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK))};
  if (!watch.inotify_) return errno_error("watch " + folder.string());
  watch.add(folder);
  return watch;
}

void SourceWatch::add(const fs::path& folder) {
  constexpr std::uint32_t changes = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ONLYDIR;
  const int id = ::inotify_add_watch(inotify_.get(), folder.c_str(), changes);
  if (id < 0) return;
  folders_[id] = folder;
  std::error_code error;
  for (fs::directory_iterator each(folder, error), end; !error && each != end; each.increment(error)) {
    std::error_code ignored;
    const bool is_folder = each->is_directory(ignored) && !each->is_symlink(ignored);
    if (is_folder && !is_left_out(each->path())) add(each->path());
  }
}

bool SourceWatch::has_changed() {
  bool changed = false;
  alignas(inotify_event) char buffer[4096];
  while (true) {
    const ssize_t size = ::read(inotify_.get(), buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return changed;
    for (const char* at = buffer; at < buffer + size;) {
      inotify_event event;
      std::memcpy(&event, at, sizeof event);
      const fs::path path = folders_[event.wd] / (event.len > 0 ? at + sizeof event : "");
      at += sizeof event + event.len;
      if ((event.mask & IN_Q_OVERFLOW) != 0) changed = true;  // some were lost
      if ((event.mask & IN_ISDIR) != 0 && (event.mask & (IN_CREATE | IN_MOVED_TO)) != 0 && !is_left_out(path)) {
        add(path);
        changed = true;  // what it had before it was watched
      }
      // A file that has just been made is not written yet.
      if ((event.mask & (IN_ISDIR | IN_CREATE)) == 0 && is_source(path)) {
        changed = true;
        written_.insert(path.lexically_normal());
      }
    }
  }
}

}  // namespace narwhal::tools
