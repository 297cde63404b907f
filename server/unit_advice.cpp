#include "server/unit_advice.hpp"

#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace narwhal::server {
namespace {

// "narwhal.service", from the name of our control group; "UNIT" where that does not show it, as in a container.
std::string unit_name() {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    std::string name = line.substr(line.rfind('/') + 1);
    if (name.ends_with(".service")) return name;
  }
  return "UNIT";
}

// systemd sets the variable where the unit has the directory.
std::string directory_of(const char* variable, const char* example) {
  const char* const set = std::getenv(variable);
  const std::string all = set != nullptr ? set : example;
  return all.substr(0, all.find(':'));
}

}  // namespace

bool is_service_of_systemd() {
  const bool named = std::getenv("INVOCATION_ID") != nullptr || std::getenv("NOTIFY_SOCKET") != nullptr;
  return named && ::isatty(STDERR_FILENO) == 0;  // terminals of some desktops have the variable too
}

std::string unit_advice(UnitMeans means) {
  if (!is_service_of_systemd()) return {};
  const std::string edit = " (systemctl edit " + unit_name() + ")";
  switch (means) {
    case UnitMeans::logs:
      return "; systemd lets this service write only where its unit allows it: name a file in " +
             directory_of("LOGS_DIRECTORY", "/var/log/narwhal") +
             ", which LogsDirectory= in the unit makes, or allow another directory with ReadWritePaths=" + edit;
    case UnitMeans::pidfile:
      return "; under systemd no pid file is needed: remove the setting 'pidfile', or name a file in " +
             directory_of("RUNTIME_DIRECTORY", "/run/narwhal") + ", which RuntimeDirectory= in the unit makes" + edit;
    case UnitMeans::user:
      return "; under systemd the unit chooses the user: remove the settings 'user' and 'group', and write User= and "
             "Group= into the unit" +
             edit;
  }
  return {};
}

}  // namespace narwhal::server
