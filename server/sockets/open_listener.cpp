#include "server/sockets/open_listener.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <utility>

#include "core/bind_text.hpp"

namespace narwhal::server {
namespace {

Opened refuse(const std::string& attempt, int code = errno) {
  return {nullptr, code, errno_error(attempt, code).message};
}

bool set_on(int socket, int level, int option) {
  const int on = 1;
  return ::setsockopt(socket, level, option, &on, sizeof on) == 0;
}

struct FreeAddresses {
  void operator()(addrinfo* list) const noexcept { ::freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

struct LookedUp {
  Addresses addresses;
  std::string fault;
};

// A name with both kinds of address gets its IPv4 address, as in Gunicorn: one bind is one socket.
LookedUp look_up(const Bind& bind) {
  addrinfo hints{};
  hints.ai_family = bind.host.find(':') == std::string::npos ? AF_INET : AF_INET6;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  const std::string port = std::to_string(bind.port);
  const char* const host = bind.host.empty() ? nullptr : bind.host.c_str();
  addrinfo* found = nullptr;
  int result = ::getaddrinfo(host, port.c_str(), &hints, &found);
  if (result != 0 && hints.ai_family == AF_INET) {
    hints.ai_family = AF_INET6;  // a name without an IPv4 address
    result = ::getaddrinfo(host, port.c_str(), &hints, &found);
  }
  if (result != 0) return {nullptr, ::gai_strerror(result)};
  return {Addresses(found), {}};
}

Opened open_tcp(const Bind& bind, const ListenOptions& options) {
  const std::string attempt = "bind " + address_text(bind);
  const LookedUp found = look_up(bind);
  if (!found.addresses) return {nullptr, 0, attempt + ": " + found.fault};
  const addrinfo& address = *found.addresses;
  Fd socket(::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return refuse(attempt + ": socket");
  // Without it a restart would have to wait until the last connections leave TIME_WAIT.
  if (!set_on(socket.get(), SOL_SOCKET, SO_REUSEADDR)) return refuse(attempt + ": SO_REUSEADDR");
  if (options.reuse_port && !set_on(socket.get(), SOL_SOCKET, SO_REUSEPORT)) return refuse(attempt + ": SO_REUSEPORT");
  if (address.ai_family == AF_INET6) {
    const int v6_only = options.v6_only ? 1 : 0;  // set in both cases: the system's default varies
    if (::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only) < 0) {
      return refuse(attempt + ": IPV6_V6ONLY");
    }
  }
  set_on(socket.get(), IPPROTO_TCP, TCP_NODELAY);
  if (::bind(socket.get(), address.ai_addr, address.ai_addrlen) < 0) return refuse(attempt);
  if (::listen(socket.get(), static_cast<int>(options.backlog)) < 0) return refuse(attempt);
  const std::string shown = address_of(socket.get());
  return {std::make_shared<Listener>(Listener{bind, std::move(socket), shown}), 0, {}};
}

std::shared_ptr<Listener> removing_file(Listener listener) {
  return {new Listener(std::move(listener)), [](Listener* last) {
            // Before the socket closes, so that the name never leads to a closed socket.
            if (!last->shared) remove_socket_file(last->file);
            delete last;
          }};
}

Opened open_unix(const Bind& bind, const ListenOptions& options) {
  const std::string attempt = "bind " + address_text(bind);
  switch (state_of_path(bind.path)) {
    case PathState::in_use: return refuse(attempt, EADDRINUSE);
    case PathState::not_a_socket:
      return {nullptr, 0, attempt + ": the file exists and is not a socket: remove it or use another path"};
    case PathState::stale:
      if (::unlink(bind.path.c_str()) < 0) return refuse(attempt + ": remove the stale socket");
      break;
    case PathState::free: break;
  }
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return refuse(attempt + ": socket");
  auto file = bind_unix(socket.get(), bind.path, options.rights);
  const int code = errno;
  if (!file) return {nullptr, code, file.error()};
  const int fd = socket.get();
  auto listener = removing_file({bind, std::move(socket), "unix:" + bind.path, false, *std::move(file)});
  if (::listen(fd, static_cast<int>(options.backlog)) < 0) return refuse(attempt);
  return {std::move(listener), 0, {}};
}

int option_of(int socket, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(socket, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

bool prepare(int fd, const ListenOptions& options) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return false;
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) return false;
  if (option_of(fd, SO_DOMAIN) != AF_UNIX) set_on(fd, IPPROTO_TCP, TCP_NODELAY);
  // A socket that already listens has its backlog.
  return option_of(fd, SO_ACCEPTCONN) == 1 || ::listen(fd, static_cast<int>(options.backlog)) == 0;
}

std::string address_of_unix(const sockaddr_un& address, socklen_t size) {
  const std::size_t length = size - offsetof(sockaddr_un, sun_path);
  if (size <= offsetof(sockaddr_un, sun_path)) return "unix:";
  if (address.sun_path[0] == '\0') return "unix:@" + std::string(address.sun_path + 1, length - 1);
  return "unix:" + std::string(address.sun_path, ::strnlen(address.sun_path, length));
}

}  // namespace

Opened open_listener(const Bind& bind, const ListenOptions& options) {
  switch (bind.kind) {
    case Bind::Kind::tcp: return open_tcp(bind, options);
    case Bind::Kind::unix_socket: return open_unix(bind, options);
    case Bind::Kind::inherited: break;
  }
  return adopt_listener(bind.fd, options);
}

Opened adopt_listener(int fd, const ListenOptions& options) {
  Bind bind;
  bind.kind = Bind::Kind::inherited;
  bind.fd = fd;
  const std::string attempt = "bind " + address_text(bind);
  const int type = option_of(fd, SO_TYPE);
  if (type < 0) return refuse(attempt);
  const int domain = option_of(fd, SO_DOMAIN);
  if (type != SOCK_STREAM || (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX)) {
    return {nullptr, 0, attempt + ": not a TCP or Unix stream socket"};
  }
  sockaddr_storage peer;
  socklen_t size = sizeof peer;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0) {
    return {nullptr, 0, attempt + ": a connection, not a listening socket"};
  }
  if (!prepare(fd, options)) return refuse(attempt);
  return {std::make_shared<Listener>(Listener{bind, Fd(fd), address_of(fd)}), 0, {}};
}

std::shared_ptr<Listener> take_over_listener(const Bind& bind, Fd socket, SocketFile file) {
  if (option_of(socket.get(), SO_ACCEPTCONN) != 1) return nullptr;
  std::string address = address_of(socket.get());
  auto listener = removing_file({bind, std::move(socket), std::move(address), false, std::move(file)});
  listener->shared = true;
  return listener;
}

std::string address_of(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) < 0) return "?";
  if (address.ss_family == AF_UNIX) return address_of_unix(reinterpret_cast<const sockaddr_un&>(address), size);
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  const int shown = ::getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host, sizeof host, port,
                                  sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
  if (shown != 0) return "?";
  const bool bracketed = address.ss_family == AF_INET6;
  return std::string("http://") + (bracketed ? "[" : "") + host + (bracketed ? "]:" : ":") + port;
}

}  // namespace narwhal::server
