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
  // Removes NOTIFY_SOCKET and the watchdog's variables from the environment, so that plugins cannot send messages for the
  // server.
  static Notifier from_environment();
  // A path, or "@name" in the abstract namespace; empty: send nothing.
  explicit Notifier(std::string socket_name);

  const std::string& socket_name() const noexcept { return socket_name_; }
  // The longest time between two alive(); 0: none are expected.
  std::chrono::microseconds watchdog() const noexcept { return watchdog_; }
  Result<Done> ready(std::string_view status) const;
  // With Type=notify-reload systemd waits for a ready() that follows this moment.
  Result<Done> reloading(Instant now, std::string_view status) const;
  Result<Done> stopping(std::string_view status) const;
  Result<Done> status(std::string_view status) const;
  Result<Done> alive() const;  // for the watchdog
  Result<Done> extend(
      std::chrono::microseconds more) const;  // a start, reload or stop needs this much more time from now
  Result<Done> main_pid(pid_t pid) const;     // another process is the service from now on

 private:
  Result<Done> send(const std::string& message) const;
  std::string socket_name_;
  std::chrono::microseconds watchdog_{0};
};

// WATCHDOG_PID names `from`: from now on this process, which continues in its place.
void pass_watchdog(pid_t from);

}  // namespace narwhal::server
