#include "server/sockets/socket_activation.hpp"

#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

namespace narwhal::server {
namespace {

std::optional<int> number_in(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  const std::string_view text = value;
  int number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

int take_activation() {
  const std::optional<int> pid = number_in("LISTEN_PID");
  const std::optional<int> count = number_in("LISTEN_FDS");
  for (const char* name : {"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  if (pid != ::getpid() || !count || *count <= 0) return 0;
  return *count;
}

void pass_activation(pid_t from) {
  if (number_in("LISTEN_PID") == from) ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
}

}  // namespace narwhal::server
