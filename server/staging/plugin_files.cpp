#include "server/staging/plugin_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include "core/fd.hpp"
#include "core/plugin_text.hpp"

namespace narwhal::server {
namespace {

// Far more than any known plugin needs, and far less than would harm the master.
constexpr std::size_t files_max = 256;
constexpr std::size_t bytes_max = std::size_t{1} << 30;

bool is_same_version(const struct stat& a, const struct stat& b) {
  const auto same = [](const timespec& x, const timespec& y) { return x.tv_sec == y.tv_sec && x.tv_nsec == y.tv_nsec; };
  return a.st_size == b.st_size && same(a.st_mtim, b.st_mtim) && same(a.st_ctim, b.st_ctim);
}

Result<std::string> read_bytes(int file, std::size_t size) {
  std::string bytes(size + 1, '\0');  // one more than expected, to notice growth
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t got = ::read(file, bytes.data() + filled, bytes.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("read");
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  bytes.resize(filled);
  return bytes;
}

// Replaces both spellings of the loader's variable; nullopt if the text has none: such paths do not move with the file.
std::optional<std::string> expand_origin(std::string text, const std::string& origin) {
  bool any = false;
  for (const std::string_view variable : {"${ORIGIN}", "$ORIGIN"}) {
    for (auto at = text.find(variable); at != std::string::npos; at = text.find(variable, at + origin.size())) {
      text.replace(at, variable.size(), origin);
      any = true;
    }
  }
  return any ? std::optional(text) : std::nullopt;
}

std::vector<std::string> expand_all(const std::vector<std::string>& folders, const std::string& origin) {
  std::vector<std::string> expanded;
  for (const std::string& folder : folders) {
    if (auto path = expand_origin(folder, origin)) expanded.push_back(*std::move(path));
  }
  return expanded;
}

std::string normal(const std::string& path) { return std::filesystem::path(path).lexically_normal().string(); }

std::string parent(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

// For "/a/b/../c", the folder /a/b must exist, because the kernel walks through it.
std::vector<std::string> passed_folders(const std::string& path) {
  std::vector<std::string> passed;
  for (auto at = path.find("/.."); at != std::string::npos; at = path.find("/..", at + 1)) {
    if (at > 0) passed.push_back(normal(path.substr(0, at)));
  }
  return passed;
}

bool is_file(const std::string& path) {
  struct stat entry {};
  return ::stat(path.c_str(), &entry) == 0 && S_ISREG(entry.st_mode);
}

// One file on the list: where the loader finds it, and the RPATHs of the objects that need it.
struct Wanted {
  std::string path;
  std::vector<std::string> inherited;
};

// Where the loader finds `name`, if it does so by $ORIGIN.
std::optional<std::string> find_needed(const std::string& name, const std::string& origin,
                                       const std::vector<std::string>& folders) {
  if (name.find('/') != std::string::npos) {
    auto path = expand_origin(name, origin);
    return path && is_file(*path) ? path : std::nullopt;
  }
  for (const std::string& folder : folders) {
    std::string path = folder + "/" + name;
    if (is_file(path)) return path;
  }
  return std::nullopt;
}

// What `object` needs, in the loader's order: its RUNPATH alone if it has one, else its RPATH and then its dependants'.
void add_needed(const SharedObject& object, const Wanted& found, std::deque<Wanted>& wanted) {
  const std::string origin = parent(normal(found.path));
  std::vector<std::string> folders = expand_all(object.runpath, origin);
  std::vector<std::string> passed_on = found.inherited;
  if (object.runpath.empty()) {
    const std::vector<std::string> own = expand_all(object.rpath, origin);
    passed_on.insert(passed_on.begin(), own.begin(), own.end());
    folders = passed_on;
  }
  for (const std::string& name : object.needed) {
    if (auto path = find_needed(name, origin, folders)) wanted.push_back({*std::move(path), passed_on});
  }
}

Error not_a_plugin(const std::string& name, const SharedObject& object) {
  const std::string own(plugin_symbol);
  if (object.other_major == 0) return Error{name + ": " + no_plugin_text};
  const std::string major = std::to_string(object.other_major);
  return Error{name + ": a plugin for version " + major + " of the plugin ABI (narwhal_plugin_v" + major +
               "), but this narwhal has version " + std::to_string(plugin_major) + " (" + own +
               "): build the plugin again with this narwhal's headers, or run a narwhal that has its version"};
}

}  // namespace

Result<std::string> read_steady_file(const std::string& path) {
  // O_NONBLOCK: a named pipe must not block the master; it has no effect on a regular file.
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file) return errno_error("open");
  struct stat before {
  }, after{};
  if (::fstat(file.get(), &before) < 0) return errno_error("stat");
  if (!S_ISREG(before.st_mode)) return Error{"not a regular file"};
  const auto size = static_cast<std::size_t>(before.st_size);
  if (size > bytes_max)
    return Error{"too large: " + std::to_string(size) + " bytes; the limit is " + std::to_string(bytes_max)};
  auto bytes = read_bytes(file.get(), size);
  if (!bytes) return bytes;
  if (::fstat(file.get(), &after) < 0) return errno_error("stat");
  if (bytes->size() != size || !is_same_version(before, after)) {
    return Error{"the file changed while it was being read: is it still being copied?"};
  }
  return bytes;
}

Result<std::vector<PluginFile>> read_plugin_files(const std::string& path, Kind kind) {
  std::vector<PluginFile> files;
  std::map<std::string, std::size_t> known;  // index in files
  std::size_t total = 0;
  std::deque<Wanted> wanted{{path, {}}};
  for (; !wanted.empty(); wanted.pop_front()) {
    const Wanted& next = wanted.front();
    const std::string name = normal(next.path);
    const auto [entry, is_new] = known.emplace(name, files.size());
    if (is_new) {
      auto bytes = read_steady_file(next.path);
      if (!bytes) return Error{name + ": " + bytes.error()};
      total += bytes->size();
      if (files.size() == files_max || total > bytes_max)
        return Error{name + ": with its libraries the plugin has more than " + std::to_string(files_max) +
                     " files or " + std::to_string(bytes_max) + " bytes"};
      const auto object = read_shared_object(*bytes);
      if (!object) return Error{name + ": " + object.error()};
      if (files.empty() && kind == Kind::plugin && !object->is_plugin) return not_a_plugin(name, *object);
      files.push_back({name, *std::move(bytes), {}});
      add_needed(*object, next, wanted);
    }
    // A second path to a known file may lead through other folders.
    for (std::string& folder : passed_folders(next.path)) files[entry->second].passed.insert(std::move(folder));
  }
  return files;
}

}  // namespace narwhal::server
