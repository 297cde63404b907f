#include "server/notify.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "core/escape.hpp"
#include "core/fd.hpp"

namespace narwhal::server {
namespace {

// One line: a plugin's error text must not add another assignment.
std::string status_line(std::string_view status) {
  std::string line = "STATUS=";
  append_escaped(line, status);
  return line + "\n";
}

std::optional<long> number_in(const char* variable) {
  const char* const text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  const char* const end = text + std::strlen(text);
  long number = 0;
  const auto read = std::from_chars(text, end, number);
  return read.ec == std::errc() && read.ptr == end ? std::optional(number) : std::nullopt;
}

}  // namespace

void pass_watchdog(pid_t from) {
  if (number_in("WATCHDOG_PID") == from) ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
}

Notifier::Notifier(std::string socket_name) : socket_name_(std::move(socket_name)) {}

Notifier Notifier::from_environment() {
  const char* const name = std::getenv("NOTIFY_SOCKET");
  Notifier notifier(name != nullptr ? name : "");
  const bool for_us = number_in("WATCHDOG_PID").value_or(::getpid()) == ::getpid();
  if (for_us) notifier.watchdog_ = std::chrono::microseconds(std::max(number_in("WATCHDOG_USEC").value_or(0), 0L));
  for (const char* variable : {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"}) ::unsetenv(variable);
  return notifier;
}

Result<Done> Notifier::ready(std::string_view status) const { return send("READY=1\n" + status_line(status)); }

Result<Done> Notifier::reloading(Instant now, std::string_view status) const {
  return send("RELOADING=1\nMONOTONIC_USEC=" +
              std::to_string(std::chrono::floor<std::chrono::microseconds>(now.time_since_epoch()).count()) + "\n" +
              status_line(status));
}

Result<Done> Notifier::stopping(std::string_view status) const { return send("STOPPING=1\n" + status_line(status)); }

Result<Done> Notifier::status(std::string_view status) const { return send(status_line(status)); }

Result<Done> Notifier::alive() const { return send("WATCHDOG=1\n"); }

Result<Done> Notifier::extend(std::chrono::microseconds more) const {
  return send("EXTEND_TIMEOUT_USEC=" + std::to_string(more.count()) + "\n");
}

Result<Done> Notifier::main_pid(pid_t pid) const { return send("MAINPID=" + std::to_string(pid) + "\n"); }

Result<Done> Notifier::send(const std::string& message) const {
  if (socket_name_.empty()) return Done{};
  const std::string attempt = "notify " + socket_name_;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_name_.size() >= sizeof address.sun_path || (socket_name_[0] != '/' && socket_name_[0] != '@')) {
    return Error{attempt + ": neither a path nor an abstract name"};
  }
  std::memcpy(address.sun_path, socket_name_.data(), socket_name_.size());
  if (socket_name_[0] == '@') address.sun_path[0] = '\0';
  // The exact size: in the abstract namespace trailing zeros would be part of the name.
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_name_.size());
  // Opened for each message: they are rare, and nothing stays open that a child could inherit.
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return errno_error(attempt);
  const ssize_t sent = ::sendto(socket.get(), message.data(), message.size(), MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&address), size);
  if (sent < 0) return errno_error(attempt);
  return Done{};
}

}  // namespace narwhal::server
