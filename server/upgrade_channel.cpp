#include "server/upgrade_channel.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace narwhal::server {
namespace {

constexpr std::size_t message_max = 2000;  // a longer reason is cut

}  // namespace

void UpgradeChannel::send(std::string_view message) const noexcept {
  if (!socket_) return;
  message = message.substr(0, message_max);
  ::send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

std::optional<std::string> UpgradeChannel::receive() {
  if (!socket_) return std::nullopt;
  char bytes[message_max];
  ssize_t size = -1;
  do {
    size = ::recv(socket_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
  } while (size < 0 && errno == EINTR);
  if (size > 0) return std::string(bytes, static_cast<std::size_t>(size));
  if (size == 0 || errno != EAGAIN) close();
  return std::nullopt;
}

}  // namespace narwhal::server
