#include "server/config/processors.hpp"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "server/config/cgroups.hpp"

namespace narwhal::server {
namespace {

double first_number(const std::string& path) {
  double number = 0;
  std::ifstream(path) >> number;
  return number;
}

// 0: none.
double quota_of(const std::string& folder, bool is_v2) {
  double quota = 0, period = 0;
  if (is_v2) {
    std::ifstream(folder + "/cpu.max") >> quota >> period;  // "max 100000": 0
  } else {
    quota = first_number(folder + "/cpu.cfs_quota_us");  // -1: none
    period = first_number(folder + "/cpu.cfs_period_us");
  }
  return quota > 0 && period > 0 ? quota / period : 0;
}

}  // namespace

double processor_quota(const std::string& root) {
  double smallest = 0;
  for (Cgroup group : own_cgroups("cpu", root)) {
    while (true) {
      const double quota = quota_of(group.folder(), group.is_v2);
      if (quota > 0 && (smallest == 0 || quota < smallest)) smallest = quota;
      if (group.path.empty()) break;
      group.path.erase(group.path.rfind('/'));
    }
  }
  return smallest;
}

unsigned usable_processors() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  const unsigned allowed =
      ::sched_getaffinity(0, sizeof mask, &mask) == 0 ? static_cast<unsigned>(CPU_COUNT(&mask)) : 1;
  const double quota = processor_quota("");
  const auto by_quota = quota > 0 ? static_cast<unsigned>(std::ceil(quota)) : allowed;
  return std::max(1u, std::min(allowed, by_quota));
}

}  // namespace narwhal::server
