// `workers: auto`: how many processors the process may use.
#include "server/config/processors.hpp"

#include <doctest/doctest.h>
#include <sched.h>

#include "tests/support/folder.hpp"

using narwhal::server::processor_quota;
using narwhal::server::usable_processors;

namespace {

// A tree of files in place of /proc and /sys.
class System {
 public:
  void write(const std::string& path, const std::string& text) const { folder_.write(path, text + "\n"); }
  double quota() const { return processor_quota(folder_.path()); }

 private:
  narwhal::Folder folder_;
};

const std::string v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";

}  // namespace

TEST_CASE("processors: without a quota there is none") {
  System system;
  CHECK(system.quota() == 0);
  system.write("proc/self/mountinfo", v2);
  system.write("proc/self/cgroup", "0::/system.slice/narwhal.service");
  system.write("sys/fs/cgroup/system.slice/narwhal.service/cpu.max", "max 100000");
  CHECK(system.quota() == 0);
}

TEST_CASE("processors: the smallest quota of the group and those above it counts") {
  System system;
  system.write("proc/self/mountinfo", "1 2 3:4 / / rw - ext4 /dev/x rw\n" + v2);
  system.write("proc/self/cgroup", "0::/system.slice/narwhal.service");
  system.write("sys/fs/cgroup/system.slice/narwhal.service/cpu.max", "350000 100000");
  CHECK(system.quota() == doctest::Approx(3.5));
  system.write("sys/fs/cgroup/system.slice/cpu.max", "150000 100000");
  CHECK(system.quota() == doctest::Approx(1.5));
}

TEST_CASE("processors: in a container with a namespace the quota is at the mount's root") {
  System system;
  system.write("proc/self/mountinfo", v2);
  system.write("proc/self/cgroup", "0::/");
  system.write("sys/fs/cgroup/cpu.max", "50000 100000");
  CHECK(system.quota() == doctest::Approx(0.5));
}

TEST_CASE("processors: cgroup v1") {
  System system;
  system.write("proc/self/mountinfo",
               "33 24 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
               "34 24 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct");
  system.write("proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/docker/abc\n0::/");
  const std::string group = "sys/fs/cgroup/cpu,cpuacct/docker/abc/";
  system.write(group + "cpu.cfs_quota_us", "-1");
  system.write(group + "cpu.cfs_period_us", "100000");
  CHECK(system.quota() == 0);
  system.write(group + "cpu.cfs_quota_us", "200000");
  CHECK(system.quota() == doctest::Approx(2));
}

TEST_CASE("processors: cgroup v1 in a container without a namespace") {
  System system;
  system.write("proc/self/mountinfo", "34 24 0:30 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu");
  system.write("proc/self/cgroup", "4:cpu:/docker/abc");
  system.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000");
  system.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000");
  CHECK(system.quota() == doctest::Approx(3));
}

TEST_CASE("processors: the affinity mask counts") {
  cpu_set_t before, one;
  REQUIRE(::sched_getaffinity(0, sizeof before, &before) == 0);
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  }
  REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
  CHECK(usable_processors() == 1);
  REQUIRE(::sched_setaffinity(0, sizeof before, &before) == 0);
  CHECK(usable_processors() <= static_cast<unsigned>(CPU_COUNT(&before)));
}
