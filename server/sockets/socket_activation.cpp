#include "server/sockets/socket_activation.hpp"

#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <optional>
#include <sstream>
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

// Words that are numbers of descriptors; others are passed over.
std::vector<int> numbers_in(const char* name) {
  const char* const value = std::getenv(name);
  std::istringstream words(value == nullptr ? "" : value);
  std::vector<int> numbers;
  for (int number = -1; words >> number;) {
    if (number > STDERR_FILENO) numbers.push_back(number);
  }
  return numbers;
}

}  // namespace

std::vector<int> take_activation() {
  std::vector<int> sockets = numbers_in("UPSTART_FDS");
  ::unsetenv("UPSTART_FDS");
  const std::optional<int> pid = number_in("LISTEN_PID");
  const std::optional<int> count = number_in("LISTEN_FDS");
  for (const char* name : {"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  if (pid != ::getpid() || !count) return sockets;
  for (int number = 0; number < *count; ++number) sockets.push_back(first_activated_fd + number);
  return sockets;
}

void pass_activation(pid_t from) {
  if (number_in("LISTEN_PID") == from) ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
}

}  // namespace narwhal::server
