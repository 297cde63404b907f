// How many processors this process may use: for `workers: auto`.
#pragma once

#include <string>

namespace narwhal::server {

// At least 1. The affinity mask's number or, if that is lower, the smallest quota of the process's cgroups (v2 cpu.max, v1
// cpu.cfs_quota_us), rounded up.
unsigned usable_processors();
// The smallest quota, in processors; 0: none. Paths such as /proc/self/cgroup are read below `root`: "" is the system's.
double processor_quota(const std::string& root);

}  // namespace narwhal::server
