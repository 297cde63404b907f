// What systemd is told (sd_notify(3)'s protocol, one datagram a message, without its library).
// Without NOTIFY_SOCKET every call does nothing and succeeds. A call never blocks, and its failure harms nobody:
// the service manager is told less, the server serves on.
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
  // Takes NOTIFY_SOCKET out of the environment, so that no plugin speaks for the server.
  static Notifier from_environment();
  // A path, or "@name" in the abstract namespace; empty: nobody listens.
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
