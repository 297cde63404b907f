// BootFailure: why a generation could not boot.
#pragma once

#include <string>

namespace narwhal::server {

struct BootFailure {
  std::string step;    // "log", "load" or "boot"
  std::string reason;  // one line
  int exit_code;       // of the server, at its first boot
};

}  // namespace narwhal::server
