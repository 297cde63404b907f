#include "server/worker_groups.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "core/fd.hpp"
#include "core/log.hpp"
#include "server/config/cgroups.hpp"

namespace narwhal::server {
namespace {

constexpr std::string_view server_group = "/narwhal-server";
constexpr int moves_max = 20;  // processes may fork while they are moved

Result<Done> write_file(const std::string& path, const std::string& text) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), text.data(), text.size()) < 0) return errno_error("write " + text + " to " + path);
  return Done{};
}

std::vector<pid_t> processes_in(const std::string& folder) {
  std::vector<pid_t> pids;
  std::ifstream file(folder + "/cgroup.procs");
  for (pid_t pid = 0; file >> pid;) pids.push_back(pid);
  return pids;
}

bool lists(const std::string& path, const std::string& word) {
  std::ifstream file(path);
  for (std::string each; file >> each;) {
    if (each == word) return true;
  }
  return false;
}

// "oom_kill 3"
std::uint64_t kills_in(const std::string& folder) {
  std::ifstream file(folder + "/memory.events");
  std::string name;
  for (std::uint64_t count = 0; file >> name >> count;) {
    if (name == "oom_kill") return count;
  }
  return 0;
}

// "PID (NAME) S PARENT ...": the name may hold anything.
pid_t parent_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text, '\0');
  const std::size_t end = text.rfind(')');
  return end == std::string::npos ? 0 : static_cast<pid_t>(std::atol(text.c_str() + std::min(end + 3, text.size())));
}

bool is_ours(pid_t pid) {
  while (pid > 1 && pid != ::getpid()) pid = parent_of(pid);
  return pid == ::getpid();
}

bool is_marked_as_delegated(const std::string& folder) {
  static constexpr std::array marks{"user.delegate", "trusted.delegate"};
  return std::any_of(marks.begin(), marks.end(), [&](const char* mark) {
    char value = 0;
    return ::getxattr(folder.c_str(), mark, &value, 1) == 1 && value == '1';
  });
}

bool is_delegated(const Cgroup& group) {
  // The root of a namespace, which is a container's own; the real root has no such file.
  const bool is_container = group.path.empty() && ::access((group.folder() + "/cgroup.events").c_str(), F_OK) == 0;
  if (is_container || is_marked_as_delegated(group.folder())) return true;
  const std::vector<pid_t> pids = processes_in(group.folder());
  return !group.path.empty() && std::all_of(pids.begin(), pids.end(), is_ours);
}

// A group that gives limits to its children may hold no process itself.
Result<Done> empty(const std::string& folder) {
  const std::string child = folder + std::string(server_group);
  if (::mkdir(child.c_str(), 0755) != 0 && errno != EEXIST) return errno_error("make " + child);
  for (int move = 0; move < moves_max; ++move) {
    const std::vector<pid_t> pids = processes_in(folder);
    if (pids.empty()) return Done{};
    for (const pid_t pid : pids) {
      const auto moved = write_file(child + "/cgroup.procs", std::to_string(pid));
      if (!moved && errno != ESRCH) return moved;
    }
  }
  return Error{folder + " has processes that cannot be moved"};
}

}  // namespace

WorkerGroups::~WorkerGroups() {
  remove_empty();
  if (state_ == State::on) undo();
}

Result<Done> WorkerGroups::begin() {
  const std::vector<Cgroup> groups = own_cgroups("", "");
  const auto found = std::find_if(groups.begin(), groups.end(), [](const Cgroup& group) { return group.is_v2; });
  if (found == groups.end()) return Error{"cgroup v2 is not mounted"};
  Cgroup group = *found;
  // After an upgrade of the program the server is in it already.
  const bool was_here = group.path.ends_with(server_group);
  if (was_here) group.path.erase(group.path.size() - server_group.size());
  service_ = group.folder();
  if (!lists(service_ + "/cgroup.controllers", "memory"))
    return Error{"the controller memory is not available in " + service_};
  if (!was_here && !is_delegated(group)) return Error{service_ + " is not delegated to this server"};
  if (const auto moved = empty(service_); !moved) return moved;
  return write_file(service_ + "/cgroup.subtree_control", "+memory");
}

void WorkerGroups::enter(pid_t pid, std::size_t bytes) {
  if (bytes == 0 || state_ == State::off) return;
  if (state_ == State::unknown) {
    const auto begun = begin();
    state_ = begun ? State::on : State::off;
    if (!begun) {
      return log::warning(
          "worker_memory_max has no effect: {}. In a systemd unit, set Delegate=yes; in a container, make "
          "/sys/fs/cgroup "
          "writable; or use max_worker_memory",
          begun.error());
    }
  }
  if (const auto done = put(pid, bytes); !done)
    log::error("Worker (pid:{}) has no memory limit: {}", pid, done.error());
}

Result<Done> WorkerGroups::put(pid_t pid, std::size_t bytes) {
  const std::string folder = folder_of(pid);
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return errno_error("make " + folder);
  entered_.insert(pid);
  // The kernel begins to reclaim memory, and to slow the worker down, a bit below its end.
  if (const auto done = write_file(folder + "/memory.high", std::to_string(bytes - bytes / 20)); !done) return done;
  if (const auto done = write_file(folder + "/memory.max", std::to_string(bytes)); !done) return done;
  if (const auto done = write_file(folder + "/memory.oom.group", "1"); !done) return done;
  [[maybe_unused]] const auto where_there_is_swap = write_file(folder + "/memory.swap.max", "0");
  return write_file(folder + "/cgroup.procs", std::to_string(pid));
}

bool WorkerGroups::ended(pid_t pid) {
  if (entered_.erase(pid) == 0) return false;
  const bool killed = kills_in(folder_of(pid)) > 0;
  to_remove_.insert(pid);
  remove_empty();
  return killed;
}

// One in which something still lives is removed later.
void WorkerGroups::remove_empty() {
  std::erase_if(to_remove_, [this](pid_t pid) { return ::rmdir(folder_of(pid).c_str()) == 0 || errno == ENOENT; });
}

// Another server, of an upgrade, may use the groups too.
void WorkerGroups::undo() {
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator(service_, gone)) {
    if (entry.path().filename().string().starts_with("narwhal-worker-")) return;
  }
  const std::string own = service_ + std::string(server_group);
  if (!write_file(service_ + "/cgroup.subtree_control", "-memory")) return;
  for (const pid_t pid : processes_in(own)) {
    if (!write_file(service_ + "/cgroup.procs", std::to_string(pid))) return;
  }
  ::rmdir(own.c_str());
}

std::string WorkerGroups::folder_of(pid_t pid) const { return service_ + "/narwhal-worker-" + std::to_string(pid); }

}  // namespace narwhal::server
