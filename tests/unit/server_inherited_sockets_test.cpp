// The sockets that a master hands over to its successor.
#include "server/sockets/inherited_sockets.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "server/sockets/listeners.hpp"
#include "server/sockets/unix_listener.hpp"
#include "tests/support/binds.hpp"
#include "tests/support/folder.hpp"

using namespace narwhal;
using namespace narwhal::server;

namespace {

constexpr Retry once{1, std::chrono::milliseconds(0)};

// As fork and exec leave them to the other process: the same sockets under other numbers.
struct Handed {
  explicit Handed(const ListenerList& listeners) {
    for (const auto& listener : listeners) {
      listener->shared = true;
      copies.push_back(std::make_shared<Listener>(Listener{listener->bind, Fd(::dup(listener->fd.get())),
                                                           listener->address, listener->activated, listener->file}));
    }
    sockets = InheritedSockets(or_throw(inheritance_text(copies)));
    for (const auto& copy : copies) static_cast<void>(copy->fd.release());
  }
  ListenerList copies;
  InheritedSockets sockets;
};

std::uint16_t port_of(const Listener& listener) {
  return static_cast<std::uint16_t>(std::stoi(listener.address.substr(listener.address.rfind(':') + 1)));
}

mode_t mode_of(const std::string& path) {
  struct stat entry {};
  REQUIRE(::lstat(path.c_str(), &entry) == 0);
  return entry.st_mode & 07777;
}

}  // namespace

TEST_CASE("inherited sockets: each configured bind gets its own; the rest is closed") {
  const Folder folder;
  const auto old = or_throw(listen_at_start(with({tcp(), unix_at(folder.path("a.sock")), tcp()}), once));
  Handed handed(old);
  const int unwanted = ::dup(old[2]->fd.get());
  ::close(unwanted);
  auto next = or_throw(listen_at_start(with({unix_at(folder.path("a.sock")), tcp()}), handed.sockets, once));
  REQUIRE(next.size() == 2);
  CHECK(next[0]->address == old[1]->address);
  CHECK(next[1]->address == old[0]->address);
  CHECK((::fcntl(next[0]->fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(next[0]->shared);
  CHECK(handed.sockets.take(tcp()) != nullptr);
  handed.sockets.close();
  CHECK(handed.sockets.take(tcp()) == nullptr);
}

TEST_CASE("inherited sockets: a bind that names the address of a socket gets it, too") {
  const auto old = or_throw(listen_at_start(with({tcp()}), once));
  Handed handed(old);
  const auto next = or_throw(listen_at_start(with({tcp(port_of(*old[0]))}), handed.sockets, once));
  CHECK(next[0]->address == old[0]->address);
}

TEST_CASE("inherited sockets: the file of a Unix socket stays while both listen, and goes with the last") {
  const Folder folder;
  const std::string path = folder.path("a.sock");
  auto old = or_throw(listen_at_start(with({unix_at(path)}), once));
  Handed handed(old);
  auto next = or_throw(listen_at_start(with({unix_at(path)}), handed.sockets, once));
  old.clear();
  CHECK(state_of_path(path) == PathState::in_use);
  REQUIRE(handed.sockets.files().size() == 1);
  CHECK(handed.sockets.files()[0].path == path);
  next[0]->shared = false;
  next.clear();
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("inherited sockets: options stay, or are applied when the new master's generation takes over") {
  const Folder folder;
  const std::string a = folder.path("a?.sock"), b = folder.path("b.sock"), c = folder.path("c.sock");
  const auto old = or_throw(listen_at_start(with({unix_at(a), unix_at(b, mode(0600)), unix_at(c, mode(0600))}), once));
  REQUIRE(::chmod(a.c_str(), 0604) == 0);
  REQUIRE(::chmod(b.c_str(), 0604) == 0);
  Handed handed(old);
  const Config config = with({unix_at(a), unix_at(b, mode(0600)), unix_at(c, mode(0666))});
  const auto next = or_throw(listen_at_start(config, handed.sockets, once));
  REQUIRE(next.size() == 3);
  CHECK(next[0]->file.path == a);
  CHECK(next[2]->file.path == c);
  apply_options(config, next);
  CHECK(mode_of(a) == 0604);
  CHECK(mode_of(b) == 0604);
  CHECK(mode_of(c) == 0666);
}

TEST_CASE("inherited sockets: those of systemd replace every bind, and stay systemd's") {
  auto old = or_throw(listen_at_start(with({tcp(), tcp()}), once));
  for (const auto& listener : old) listener->activated = true;
  Handed handed(old);
  const auto next = or_throw(listen_at_start(with({tcp(1)}), handed.sockets, once));
  REQUIRE(next.size() == 2);
  CHECK(next[0]->activated);
  CHECK(next[0]->address == old[0]->address);
  CHECK(next[1]->address == old[1]->address);
}

TEST_CASE("inherited sockets: what makes no sense is passed over") {
  const Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::string number = std::to_string(file.get());
  for (const std::string& text :
       {std::string(), std::string("\n\n"), std::string("x b 0 0 127.0.0.1:8000\n"), std::string("987 b 0 0 :1"),
        std::string("1 b 0 0 127.0.0.1:8000"), number, number + " b 0", std::string("-5 b 0 0 x")}) {
    InheritedSockets sockets(text);
    CHECK(sockets.take(tcp(8000)) == nullptr);
    CHECK(sockets.files().empty());
  }
  CHECK(::fcntl(file.get(), F_GETFD) >= 0);
  InheritedSockets not_a_socket(std::to_string(::dup(file.get())) + " b 0 0 127.0.0.1:8000\n");
  CHECK(not_a_socket.take(tcp(8000)) == nullptr);
}

TEST_CASE("inherited sockets: a bind that does not fit into a line is an error") {
  const auto old = or_throw(listen_at_start(with({tcp()}), once));
  old[0]->bind = unix_at("/a\n/b");
  CHECK_FALSE(inheritance_text(old));
}
