// Inheritance: what a master has from the one that started it at an upgrade (USR2): its sockets and a channel to it.
// Variable   NARWHAL_UPGRADE: "1 PID FROM CHANNEL", the format, the new master's pid, the old one's, and the channel's
//            descriptor; then the lines of inherited_sockets.hpp.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "server/sockets/inherited_sockets.hpp"
#include "server/upgrade_channel.hpp"

namespace narwhal::server {

constexpr const char* inheritance_variable = "NARWHAL_UPGRADE";

std::string inheritance_value(pid_t heir, pid_t from, int channel, const std::string& sockets);

class Inheritance {
 public:
  // Of this process, before it opens a file. Removes the variable, so that no child uses it.
  static Inheritance take();

  bool exists() const { return from_ != 0; }
  pid_t from() const { return from_; }
  InheritedSockets& sockets() { return sockets_; }
  UpgradeChannel& channel() { return channel_; }
  // This process ends before it has served.
  void failed(std::string_view reason) const { channel_.send("failed " + std::string(reason)); }

 private:
  pid_t from_ = 0;
  UpgradeChannel channel_;
  InheritedSockets sockets_;
};

}  // namespace narwhal::server
