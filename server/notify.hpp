// Messages to systemd: the protocol of sd_notify(3), one datagram per message, without its library.
// Without NOTIFY_SOCKET every call does nothing and succeeds. A call never blocks, and its failure is harmless: the
// service manager knows less, and the server continues to serve.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "core/clock.hpp"
#include "core/result.hpp"

namespace narwhal::server {

class Notifier {
 public:
  // Removes NOTIFY_SOCKET from the environment, so that plugins cannot send messages for the server.
  static Notifier from_environment();
  // A path, or "@name" in the abstract namespace; empty: send nothing.
  explicit Notifier(std::string socket_name);

  const std::string& socket_name() const noexcept { return socket_name_; }
  Result<Done> ready(std::string_view status) const;
  // With Type=notify-reload systemd waits for a ready() that follows this moment.
  Result<Done> reloading(Instant now, std::string_view status) const;
  Result<Done> stopping(std::string_view status) const;
  Result<Done> status(std::string_view status) const;
  Result<Done> main_pid(pid_t pid) const;  // another process is the service from now on

 private:
  Result<Done> send(const std::string& message) const;
  std::string socket_name_;
};

}  // namespace narwhal::server
