// The listening sockets that a master hands over to its successor at an upgrade: as text, which names each socket by its
// bind and its number, and as open descriptors.
// Text       a line for each: DESCRIPTOR, 'b' or for one of systemd's 'a', device and inode of a Unix socket's file or 0,
//            and the bind. Other versions of this program read it.
// Ownership  InheritedSockets closes what nobody takes.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.hpp"
#include "core/fd.hpp"
#include "core/generation.hpp"
#include "core/result.hpp"
#include "server/sockets/open_listener.hpp"

namespace narwhal::server {

using ListenerList = std::vector<std::shared_ptr<Listener>>;

// The error: a socket that a line cannot describe.
Result<std::string> inheritance_text(const ListenerList& listeners);

class InheritedSockets {
 public:
  InheritedSockets() = default;
  // Lines that make no sense are passed over. Sets close-on-exec.
  explicit InheritedSockets(std::string_view text);

  // The socket of this bind, or of its address; null if there is none.
  std::shared_ptr<Listener> take(const Bind& bind);
  // All of systemd's; empty if there are none.
  ListenerList take_activated();
  // The files of all Unix sockets, also of those that were taken; this process may remove them.
  const std::vector<SocketFile>& files() const { return files_; }
  // Closes those that nobody has taken.
  void close() { sockets_.clear(); }

 private:
  struct Socket {
    Fd fd;
    bool activated;
    SocketFile file;
    std::string bind, address;
  };
  void add(std::string_view line);

  std::vector<Socket> sockets_;
  std::vector<SocketFile> files_;
};

}  // namespace narwhal::server
