// Generation: one immutable Config with its staged plugins, and the listening sockets that generations share.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/config.hpp"
#include "core/fd.hpp"

namespace narwhal {

// The file of a Unix socket as it was when it was bound: the inode distinguishes it from a later file of the same name.
struct SocketFile {
  std::string path;
  dev_t device = 0;
  ino_t inode = 0;
  pid_t owner = 0;  // the process that may remove it
};

// One bound and listening socket.
struct Listener {
  Bind bind;
  Fd fd;
  std::string address;              // as the log shows it: "http://127.0.0.1:8000", "unix:/run/x.sock"
  bool activated = false;           // passed by systemd: the settings do not apply to it, and it is never unlinked
  SocketFile file{};                // that the master removes with the socket; without a path: none
  bool shared = false;              // another master of this server listens on it as well: its file stays
  bool has_former_options = false;  // another master opened it, with other options than those of `bind`
};

// A plugin as this generation runs it: the private copy, and where it came from.
struct StagedPlugin {
  std::string source;  // as the config names it
  std::string copy;    // absolute path of the private, read-only copy: what is loaded
  std::string digest;  // hexadecimal
};

// One generation: everything that a reload changes. It never changes afterwards.
struct Generation {
  std::uint64_t number = 0;
  Config config;
  std::vector<StagedPlugin> plugins;  // one for each of config.routes, same order
  StagedPlugin python_library;        // the worker for Python's program; empty without Python applications
  std::vector<int> system_calls;      // what seccomp_file lists
};

}  // namespace narwhal
