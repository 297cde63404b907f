#include "server/inheritance.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "core/signals.hpp"

namespace narwhal::server {

std::string inheritance_value(pid_t heir, pid_t from, int channel, const std::string& sockets) {
  return "1 " + std::to_string(heir) + " " + std::to_string(from) + " " + std::to_string(channel) + "\n" + sockets;
}

Inheritance Inheritance::take() {
  const char* const value = ::getenv(inheritance_variable);
  const std::string text = value != nullptr ? value : "";
  ::unsetenv(inheritance_variable);
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::istringstream words(text.substr(0, end));
  int format = 0, channel = -1;
  pid_t heir = 0, from = 0;
  words >> format >> heir >> from >> channel;
  Inheritance taken;
  // Another pid: the variable is meant for a process that has started this one.
  if (!words || format != 1 || heir != ::getpid() || from <= 0) return taken;
  if (channel <= STDERR_FILENO || ::fcntl(channel, F_SETFD, FD_CLOEXEC) != 0) return taken;
  taken.from_ = from;
  taken.channel_ = UpgradeChannel(Fd(channel));
  taken.sockets_ = InheritedSockets(std::string_view(text).substr(std::min(end + 1, text.size())));
  return_to_group_of_master();
  return taken;
}

}  // namespace narwhal::server
