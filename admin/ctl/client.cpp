#include "admin/ctl/client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

#include "core/clock.hpp"
#include "core/fd.hpp"

namespace narwhal::ctl {
namespace {

Result<Fd> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string attempt = "control socket " + path;
  if (path.size() >= sizeof address.sun_path) return Error{attempt + ": the path is longer than 107 bytes"};
  std::memcpy(address.sun_path, path.data(), path.size());
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return errno_error(attempt);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
  const int reason = errno;
  std::string advice;
  if (reason == ENOENT)
    advice = " (start narwhal with --control-socket " + path + ", or name its socket with --socket)";
  if (reason == ECONNREFUSED) advice = " (no server listens there any more)";
  if (reason == EACCES) advice = " (run narwhalctl as the user that started the server, or see control_socket_mode)";
  return Error{errno_error(attempt, reason).message + advice};
}

bool wait_for(int socket, short events, Instant limit) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(limit - now()).count();
    if (left <= 0) return false;
    pollfd watched{socket, events, 0};
    const int ready = ::poll(&watched, 1, static_cast<int>(std::min<long long>(left, 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

Result<Answer> parse(std::string_view bytes) {
  const std::size_t end = bytes.find("\r\n\r\n");
  Answer answer;
  if (!bytes.starts_with("HTTP/1.1 ") || end == bytes.npos || bytes.size() < 12 ||
      std::from_chars(bytes.data() + 9, bytes.data() + 12, answer.status).ec != std::errc())
    return Error{"an answer that is not HTTP: is this narwhal's control socket?"};
  answer.body = bytes.substr(end + 4);
  return answer;
}

}  // namespace

// With HTTP/1.0 the answer ends with the connection, and is not chunked.
Result<Answer> Client::ask(const char* method, const std::string& target, std::chrono::milliseconds limit) const {
  const Instant until = now() + limit;
  const auto socket = connect_to(path_);
  if (!socket) return Error{socket.error()};
  const std::string request =
      std::string(method) + " " + target + " HTTP/1.0\r\nHost: narwhal\r\nContent-Length: 0\r\n\r\n";
  const Error silent{"control socket " + path_ + ": no answer within " + std::to_string(limit.count() / 1000) + " s"};
  if (!wait_for(socket->get(), POLLOUT, until)) return silent;
  if (::send(socket->get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return errno_error("control socket " + path_);
  std::string bytes;
  char piece[65536];
  while (true) {
    if (!wait_for(socket->get(), POLLIN, until)) return silent;
    const ssize_t size = ::recv(socket->get(), piece, sizeof piece, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno_error("control socket " + path_);
    if (size == 0) break;
    bytes.append(piece, static_cast<std::size_t>(size));
  }
  if (bytes.empty())
    return Error{"control socket " + path_ +
                 ": the admin process has ended before it answered; whether a command was " +
                 "carried out is in narwhalctl status and in the log"};
  auto answer = parse(bytes);
  if (!answer) return Error{"control socket " + path_ + ": " + answer.error()};
  return answer;
}

}  // namespace narwhal::ctl
