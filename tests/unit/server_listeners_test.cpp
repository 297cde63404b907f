#include "server/sockets/listeners.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/child.hpp"
#include "core/log.hpp"
#include "server/sockets/socket_activation.hpp"
#include "server/sockets/unix_listener.hpp"
#include "tests/support/binds.hpp"
#include "tests/support/child_status.hpp"
#include "tests/support/folder.hpp"

using namespace narwhal;
using namespace narwhal::server;

namespace {

constexpr Retry once{1, std::chrono::milliseconds(0)};

Bind inherited(int fd) {
  Bind bind;
  bind.kind = Bind::Kind::inherited;
  bind.fd = fd;
  return bind;
}

std::string fault_of(const Config& config) {
  const auto listeners = listen_at_start(config, once);
  return listeners ? "no fault" : listeners.error();
}

int option_of(const Listener& listener, int level, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  REQUIRE(::getsockopt(listener.fd.get(), level, option, &value, &size) == 0);
  return value;
}

std::uint16_t port_of(const Listener& listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(listener.fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);  // sin6_port is at the same place
}

bool connects_to_port(std::uint16_t port) {
  const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

bool connects_to_path(const std::string& path) { return state_of_path(path) == PathState::in_use; }

Fd bound_unix(const std::string& path, int type = SOCK_STREAM) {
  Fd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return socket;
}

mode_t mode_of(const std::string& path) {
  struct stat entry {};
  REQUIRE(::lstat(path.c_str(), &entry) == 0);
  return entry.st_mode & 07777;
}

// The log as text, for the lifetime of this object.
class Logged {
 public:
  Logged() { REQUIRE(log::open(folder_.path("log"), LogLevel::info)); }
  Logged(const Logged&) = delete;
  Logged& operator=(const Logged&) = delete;
  ~Logged() { static_cast<void>(log::open("-", LogLevel::info)); }
  std::string text() const { return read_all(folder_.path("log")); }
  std::size_t count(const std::string& words) const {
    const std::string all = text();
    std::size_t found = 0;
    for (auto at = all.find(words); at != std::string::npos; at = all.find(words, at + 1)) ++found;
    return found;
  }

 private:
  Folder folder_;
};

}  // namespace

TEST_CASE("listeners: a TCP listener accepts, does not block, closes on exec and has the name that the log shows") {
  const auto listeners = listen_at_start(with({tcp()}), once);
  REQUIRE(listeners);
  const Listener& listener = *listeners->at(0);
  const std::uint16_t port = port_of(listener);
  CHECK(listener.address == "http://127.0.0.1:" + std::to_string(port));
  CHECK(connects_to_port(port));
  CHECK((::fcntl(listener.fd.get(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(listener.fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(option_of(listener, IPPROTO_TCP, TCP_NODELAY) == 1);
  CHECK(option_of(listener, SOL_SOCKET, SO_REUSEADDR) == 1);
  CHECK(option_of(listener, SOL_SOCKET, SO_REUSEPORT) == 0);
}

TEST_CASE("listeners: reuse_port lets a second server use the port") {
  Config config = with({tcp()});
  config.reuse_port = true;
  const auto first = listen_at_start(config, once);
  REQUIRE(first);
  config.bind = {tcp(port_of(*first->at(0)))};
  CHECK(listen_at_start(config, once));
}

TEST_CASE("listeners: [::] takes IPv4 clients too, unless another bind uses the port for IPv4") {
  const auto alone = listen_at_start(with({tcp(0, "::")}), once);
  if (!alone) return;  // a machine without IPv6
  const std::uint16_t port = port_of(*alone->at(0));
  CHECK(alone->at(0)->address == "http://[::]:" + std::to_string(port));
  CHECK(option_of(*alone->at(0), IPPROTO_IPV6, IPV6_V6ONLY) == 0);
  CHECK(connects_to_port(port));

  const std::uint16_t free_port = [] {
    const auto probe = listen_at_start(with({tcp(0, "0.0.0.0")}), once);
    return port_of(*probe->at(0));
  }();
  const auto both = listen_at_start(with({tcp(free_port, "::"), tcp(free_port, "0.0.0.0")}), once);
  REQUIRE(both);
  CHECK(option_of(*both->at(0), IPPROTO_IPV6, IPV6_V6ONLY) == 1);
}

TEST_CASE("listeners: an address in use is tried again with Gunicorn's messages, then given up") {
  const auto holder = listen_at_start(with({tcp()}), once);
  REQUIRE(holder);
  const std::uint16_t port = port_of(*holder->at(0));
  const std::string address = "('127.0.0.1', " + std::to_string(port) + ")";
  const Logged logged;
  const auto listeners = listen_at_start(with({tcp(port)}), {3, std::chrono::milliseconds(1)});
  REQUIRE_FALSE(listeners);
  CHECK(listeners.error().starts_with("Can't connect to " + address + ": bind "));
  CHECK(listeners.error().ends_with(": Address already in use"));
  CHECK(logged.count("[ERROR] Connection in use: " + address + "\n") == 3);
  CHECK(logged.count("[ERROR] connection to " + address + " failed: bind 127.0.0.1:" + std::to_string(port) +
                     ": Address already in use\n") == 3);
}

TEST_CASE("listeners: the predecessor's port is taken over when it leaves within the retries") {
  auto holder = listen_at_start(with({tcp()}), once);
  REQUIRE(holder);
  const std::uint16_t port = port_of(*holder->at(0));
  const Logged logged;
  int pipe_ends[2];
  REQUIRE(::pipe2(pipe_ends, O_CLOEXEC) == 0);
  const Fd read_end(pipe_ends[0]);
  Fd write_end(pipe_ends[1]);
  Child predecessor = or_throw(fork_child([&] {  // keeps the port until the log shows the first refusal
    write_end = Fd();
    char byte;
    static_cast<void>(!::read(read_end.get(), &byte, 1));
    while (logged.count("Connection in use") == 0) ::usleep(1000);
    return 0;
  }));
  holder = ListenerList{};
  write_end = Fd();
  CHECK(listen_at_start(with({tcp(port)}), {2000, std::chrono::milliseconds(5)}));
  REQUIRE(::waitpid(predecessor.pid(), nullptr, 0) == predecessor.pid());
  predecessor.reaped();
  CHECK(logged.count("Connection in use") >= 1);
}

TEST_CASE("listeners: an error that another try cannot fix is tried once") {
  const Logged logged;
  CHECK(fault_of(with({tcp(1, "192.0.2.1")})) ==
        "Can't connect to ('192.0.2.1', 1): bind 192.0.2.1:1: Cannot assign requested address");
  CHECK(logged.count("Invalid address: ('192.0.2.1', 1)") == 1);
  const auto unknown = listen_at_start(with({tcp(0, "no.such.host.invalid")}), {});
  REQUIRE_FALSE(unknown);
  CHECK(logged.count("connection to ('no.such.host.invalid', 0) failed: bind no.such.host.invalid:0: ") == 1);
}

TEST_CASE("listeners: the same bind twice is a mistake, two free ports are not") {
  const Folder folder;
  CHECK(fault_of(with({tcp(8000), tcp(8000)})) == "bind 127.0.0.1:8000: appears twice");
  CHECK(fault_of(with({unix_at("/x"), unix_at("/x", mode(0600))})) == "bind unix:/x: appears twice");
  const auto two = listen_at_start(with({tcp(), tcp()}), once);
  REQUIRE(two);
  CHECK(port_of(*two->at(0)) != port_of(*two->at(1)));
}

TEST_CASE("listeners: a reload keeps the sockets of unchanged binds and opens only the new ones") {
  const Folder folder;
  const std::string path = folder.path("a.sock");
  const auto first = listen_at_start(with({tcp(), unix_at(path), tcp()}), once);
  REQUIRE(first);
  Config next = with({unix_at(path), tcp(), unix_at(folder.path("b.sock")), tcp()});
  next.backlog = 5;
  const auto second = listen_for_reload(next, *first);
  REQUIRE(second);
  REQUIRE(second->size() == 4);
  CHECK(second->at(0) == first->at(1));
  CHECK(second->at(1) == first->at(0));
  CHECK(second->at(3) == first->at(2));
  CHECK(second->at(2)->address == "unix:" + folder.path("b.sock"));
  CHECK(connects_to_path(path));
  CHECK(connects_to_path(folder.path("b.sock")));
}

TEST_CASE("listeners: a reload that fails changes nothing, and says which bind and why") {
  const Folder folder;
  const auto stranger = listen_at_start(with({tcp()}), once);
  const auto running = listen_at_start(with({tcp()}), once);
  REQUIRE(stranger);
  REQUIRE(running);
  const std::string in_use = std::to_string(port_of(*stranger->at(0)));
  const auto next =
      listen_for_reload(with({tcp(), unix_at(folder.path("new.sock")), tcp(port_of(*stranger->at(0)))}), *running);
  REQUIRE_FALSE(next);
  CHECK(next.error() == "bind 127.0.0.1:" + in_use + ": Address already in use");
  CHECK_FALSE(std::filesystem::exists(folder.path("new.sock")));
  CHECK(connects_to_port(port_of(*running->at(0))));
}

TEST_CASE("listeners: a bind that collides with one of the old generation is reported as such") {
  auto running = listen_at_start(with({tcp()}), once);
  REQUIRE(running);
  const std::uint16_t port = port_of(*running->at(0));
  running->at(0)->bind.port = port;  // as if it had been configured
  const auto next = listen_for_reload(with({tcp(port, "0.0.0.0")}), *running);
  REQUIRE_FALSE(next);
  CHECK(next.error() == "bind 0.0.0.0:" + std::to_string(port) +
                            ": Address already in use (this server's own http://127.0.0.1:" + std::to_string(port) +
                            " uses the port: restart narwhal to change it)");
}

TEST_CASE("unix listener: the umask sets the mode, and is restored") {
  const Folder folder;
  Config config = with({unix_at(folder.path("a.sock"))});
  config.umask = 0117;
  const mode_t before = ::umask(022);
  const auto listeners = listen_at_start(config, once);
  CHECK(::umask(before) == 022);
  REQUIRE(listeners);
  CHECK(mode_of(folder.path("a.sock")) == 0660);
  CHECK(listeners->at(0)->address == "unix:" + folder.path("a.sock"));
}

TEST_CASE("unix listener: its file is removed with the last generation that uses it") {
  const Folder folder;
  const std::string path = folder.path("a.sock");
  auto first = listen_at_start(with({unix_at(path)}), once);
  REQUIRE(first);
  auto second = listen_for_reload(with({unix_at(path)}), *first);
  REQUIRE(second);
  first->clear();
  CHECK(connects_to_path(path));
  second->clear();
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("unix listener: a forked child does not remove the file, nor does an owner whose name was taken over") {
  const Folder folder;
  const std::string path = folder.path("a.sock");
  auto listeners = listen_at_start(with({unix_at(path)}), once);
  REQUIRE(listeners);
  CHECK(exit_code_of([&listeners] {
          listeners->clear();
          return 0;
        }) == 0);
  CHECK(connects_to_path(path));

  std::filesystem::remove(path);
  const Fd successor = bound_unix(path);
  listeners->clear();
  CHECK(std::filesystem::exists(path));
}

TEST_CASE("unix listener: a stale file is replaced, a living server's never") {
  const Folder folder;
  const std::string path = folder.path("a.sock");
  bound_unix(path);  // closed at once: the file stays, as after kill -9
  CHECK(state_of_path(path) == PathState::stale);
  const auto listeners = listen_at_start(with({unix_at(path)}), once);
  REQUIRE(listeners);
  const Logged logged;
  CHECK(fault_of(with({unix_at(path)})).starts_with("Can't connect to " + path + ": "));
  CHECK(logged.count("Connection in use: " + path) == 1);
  CHECK(connects_to_path(path));
}

TEST_CASE("unix listener: a server with a full backlog is alive") {
  const Folder folder;
  const std::string path = folder.path("a.sock");
  const Fd full = bound_unix(path);
  REQUIRE(::listen(full.get(), 0) == 0);
  for (int i = 0; i < 3; ++i) CHECK(state_of_path(path) == PathState::in_use);
  CHECK(std::filesystem::exists(path));
}

TEST_CASE("unix listener: another kind of file is never removed") {
  const Folder folder;
  const Logged logged;
  folder.write("a.sock", "precious");
  CHECK(
      fault_of(with({unix_at(folder.path("a.sock"))})).starts_with("Can't connect to " + folder.path("a.sock") + ": "));
  CHECK(logged.count(": the file exists and is not a socket") == 1);
  CHECK(read_all(folder.path("a.sock")) == "precious");
  const Fd datagram = bound_unix(folder.path("d.sock"), SOCK_DGRAM);
  CHECK(state_of_path(folder.path("d.sock")) == PathState::in_use);
}

TEST_CASE("unix listener: a path that is too long is an error with a message") {
  const Logged logged;
  const std::string path = "/tmp/" + std::string(120, 'x');
  CHECK(fault_of(with({unix_at(path)})).starts_with("Can't connect to " + path + ": "));
  CHECK(logged.count("the path is longer than 107 bytes") == 1);
}

TEST_CASE("unix listener: the file belongs to the workers' user") {
  if (::geteuid() != 0) return;  // only root may change a file's owner
  const Folder folder;
  Config config = with({unix_at(folder.path("a.sock"))});
  config.user = "65534";
  const auto listeners = listen_at_start(config, once);
  REQUIRE(listeners);
  struct stat entry {};
  REQUIRE(::lstat(folder.path("a.sock").c_str(), &entry) == 0);
  CHECK(entry.st_uid == 65534);
}

TEST_CASE("listeners: fd://N takes over a listening socket and prepares it") {
  auto origin = listen_at_start(with({tcp()}), once);
  REQUIRE(origin);
  const int fd = ::dup(origin->at(0)->fd.get());
  REQUIRE(::fcntl(fd, F_SETFL, 0) == 0);
  const auto listeners = listen_at_start(with({inherited(fd)}), once);
  REQUIRE(listeners);
  CHECK(listeners->at(0)->address == origin->at(0)->address);
  CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("listeners: fd://N refuses what is not a listening socket, and leaves it open") {
  const Logged logged;
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  const Fd connected(pair[0]), other(pair[1]);
  const Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Fd datagram(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  for (const Fd* fd : {&connected, &file, &datagram}) {
    CHECK(fault_of(with({inherited(fd->get())}))
              .starts_with("Can't connect to fd://" + std::to_string(fd->get()) + ": "));
    CHECK(::fcntl(fd->get(), F_GETFD) >= 0);
  }
  CHECK(logged.count(": a connection, not a listening socket") == 1);
  CHECK(logged.count(": Socket operation on non-socket") == 1);
  CHECK(logged.count(": not a TCP or Unix stream socket") == 1);
  CHECK(fault_of(with({inherited(987)})) == "Can't connect to fd://987: bind fd://987: Bad file descriptor");
  CHECK(logged.count(": Bad file descriptor") == 1);
}

TEST_CASE("listeners: a reload does not treat the server's own socket as an inherited one") {
  const auto running = listen_at_start(with({tcp()}), once);
  REQUIRE(running);
  const int own = running->at(0)->fd.get();
  const auto next = listen_for_reload(with({inherited(own)}), *running);
  REQUIRE_FALSE(next);
  CHECK(next.error() == "bind fd://" + std::to_string(own) + ": this descriptor belongs to the server itself");
  CHECK(connects_to_port(port_of(*running->at(0))));
}

TEST_CASE("socket activation: systemd's sockets replace bind, also after reloads") {
  const Folder folder;
  const int code = exit_code_of([&folder] {
    const Fd tcp_socket = [] {
      auto listeners = or_throw(listen_at_start(with({tcp()}), once));
      return Fd(::fcntl(listeners.at(0)->fd.get(), F_DUPFD, 20));
    }();
    const Fd unix_socket(::fcntl(bound_unix(folder.path("s.sock")).get(), F_DUPFD, 20));
    if (::dup2(tcp_socket.get(), 3) != 3 || ::dup2(unix_socket.get(), 4) != 4) return 1;
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::setenv("LISTEN_FDS", "2", 1);
    ::setenv("LISTEN_FDNAMES", "a:b", 1);
    auto listeners = listen_at_start(with({tcp(1, "192.0.2.1")}), once);
    if (!listeners || listeners->size() != 2) return 2;
    if (listeners->at(0)->fd.get() != 3 || !listeners->at(0)->address.starts_with("http://127.0.0.1:")) return 3;
    if (listeners->at(1)->address != "unix:" + folder.path("s.sock")) return 4;
    if (::getenv("LISTEN_PID") || ::getenv("LISTEN_FDS") || ::getenv("LISTEN_FDNAMES")) return 5;
    if ((::fcntl(4, F_GETFD) & FD_CLOEXEC) == 0 || (::fcntl(4, F_GETFL) & O_NONBLOCK) == 0) return 6;
    if (!connects_to_path(folder.path("s.sock"))) return 7;  // it was not listening yet
    auto next = listen_for_reload(with({tcp(1, "192.0.2.1")}), *listeners);
    if (!next || *next != *listeners) return 8;
    listeners->clear();
    next->clear();
    return std::filesystem::exists(folder.path("s.sock")) ? 0 : 9;  // systemd removes it
  });
  CHECK(code == 0);
}

TEST_CASE("socket activation: sockets for another process, and invalid numbers, are not used") {
  for (const auto& [pid, count] : {std::pair{std::string("1"), "1"},
                                   {std::to_string(::getpid()), "x"},
                                   {std::to_string(::getpid()), "-1"},
                                   {std::string(), "1"}}) {
    ::setenv("LISTEN_PID", pid.c_str(), 1);
    ::setenv("LISTEN_FDS", count, 1);
    CHECK(take_activation().empty());
    CHECK(::getenv("LISTEN_FDS") == nullptr);
  }
}

TEST_CASE("socket activation: a socket that cannot be served is an error that names it") {
  const int code = exit_code_of([] {
    ::close(3);
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::setenv("LISTEN_FDS", "1", 1);
    const auto listeners = listen_at_start(with({tcp()}), once);
    return !listeners && listeners.error() == "socket activation: bind fd://3: Bad file descriptor" ? 0 : 1;
  });
  CHECK(code == 0);
}
