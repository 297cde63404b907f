#include "server/config/cgroups.hpp"

#include <fstream>
#include <sstream>
#include <string_view>

namespace narwhal::server {
namespace {

bool is_in_list(std::string_view list, std::string_view word) {
  return ("," + std::string(list) + ",").find("," + std::string(word) + ",") != std::string::npos;
}

struct Mount {
  std::string root, point, type, options;
};

// "36 25 0:31 ROOT MOUNT_POINT rw,nosuid - cgroup cgroup rw,cpu,cpuacct"
Mount read_mount(const std::string& line) {
  Mount mount;
  std::istringstream words(line);
  std::string skipped, source;
  words >> skipped >> skipped >> skipped >> mount.root >> mount.point;
  while (words >> skipped && skipped != "-") {
  }
  words >> mount.type >> source >> mount.options;
  return mount;
}

// "0::/a/b" for v2, "4:cpu,cpuacct:/a/b" for v1.
std::string group_in(const std::string& root, const std::string& controller, bool is_v2) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (is_v2 ? controllers.empty() : is_in_list(controllers, controller)) return line.substr(second + 1);
  }
  return "/";
}

}  // namespace

std::vector<Cgroup> own_cgroups(const std::string& controller, const std::string& root) {
  std::vector<Cgroup> found;
  std::ifstream mounts(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const Mount mount = read_mount(line);
    const bool is_v2 = mount.type == "cgroup2";
    if (!is_v2 && (mount.type != "cgroup" || !is_in_list(mount.options, controller))) continue;
    std::string path = group_in(root, controller, is_v2);
    // Without a namespace, a container's mount begins at its own group.
    if (mount.root != "/" && path.starts_with(mount.root)) path.erase(0, mount.root.size());
    while (path.ends_with('/')) path.pop_back();
    found.push_back({is_v2, root + mount.point, path});
  }
  return found;
}

}  // namespace narwhal::server
