// The control groups that this process is in.
#pragma once

#include <string>
#include <vector>

namespace narwhal::server {

// A mounted hierarchy, and the process's group in it.
struct Cgroup {
  bool is_v2 = false;
  std::string mount_point;
  std::string path;  // of the group below the mount point: "" or "/system.slice/narwhal.service"

  std::string folder() const { return mount_point + path; }
};

// Those of cgroup v2, and of v1 those with this controller. Paths such as /proc/self/cgroup are read below `root`, which
// each mount point begins with: "" is the system's.
std::vector<Cgroup> own_cgroups(const std::string& controller, const std::string& root);

}  // namespace narwhal::server
