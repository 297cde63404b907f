#include "server/notify.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

#include "core/fd.hpp"
#include "tests/support/folder.hpp"

using namespace narwhal;
using namespace narwhal::server;

namespace {

// The service manager's end: a datagram socket with a path or, with "@" in front, an abstract name.
class Manager {
 public:
  explicit Manager(const std::string& name) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof address.sun_path - 1);
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
  }
  std::string heard() const {
    char bytes[4096];
    const ssize_t size = ::recv(socket_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    return size < 0 ? "nothing" : std::string(bytes, static_cast<std::size_t>(size));
  }

 private:
  Fd socket_;
};

}  // namespace

TEST_CASE("notify: each event is one datagram of systemd's protocol") {
  const Folder folder;
  const Manager manager(folder.path("notify"));
  const Notifier notifier(folder.path("notify"));
  CHECK(notifier.ready("4 workers"));
  CHECK(manager.heard() == "READY=1\nSTATUS=4 workers\n");
  CHECK(notifier.reloading(narwhal::Instant(std::chrono::nanoseconds{1'234'567'891'234}), "generation 2"));
  CHECK(manager.heard() == "RELOADING=1\nMONOTONIC_USEC=1234567891\nSTATUS=generation 2\n");
  CHECK(notifier.stopping("draining"));
  CHECK(manager.heard() == "STOPPING=1\nSTATUS=draining\n");
  CHECK(notifier.status("reload failed"));
  CHECK(manager.heard() == "STATUS=reload failed\n");
  CHECK(notifier.alive());
  CHECK(manager.heard() == "WATCHDOG=1\n");
  CHECK(notifier.extend(std::chrono::seconds{20}));
  CHECK(manager.heard() == "EXTEND_TIMEOUT_USEC=20000000\n");
  CHECK(notifier.main_pid(77));
  CHECK(manager.heard() == "MAINPID=77\n");
  CHECK(manager.heard() == "nothing");
}

TEST_CASE("notify: an abstract socket is addressed by its exact name") {
  const std::string name = "@narwhal-test-" + std::to_string(::getpid());
  const Manager manager(name);
  CHECK(Notifier(name).ready("x"));
  CHECK(manager.heard() == "READY=1\nSTATUS=x\n");
}

TEST_CASE("notify: a status cannot add another assignment") {
  const Folder folder;
  const Manager manager(folder.path("notify"));
  CHECK(Notifier(folder.path("notify")).status("broken\nREADY=1"));
  CHECK(manager.heard() == "STATUS=broken\\nREADY=1\n");
}

TEST_CASE("notify: without a service manager nothing happens and nothing fails") {
  ::unsetenv("NOTIFY_SOCKET");
  const Notifier notifier = Notifier::from_environment();
  CHECK(notifier.socket_name() == "");
  CHECK(notifier.ready("x"));
  CHECK(notifier.stopping("x"));
}

TEST_CASE("notify: the environment names the socket once, only for the server") {
  ::setenv("NOTIFY_SOCKET", "/run/somewhere/notify", 1);
  CHECK(Notifier::from_environment().socket_name() == "/run/somewhere/notify");
  CHECK(::getenv("NOTIFY_SOCKET") == nullptr);
}

TEST_CASE("notify: a manager that is gone, does not read or has a wrong name is an error with a message, at once") {
  const Folder folder;
  const std::string path = folder.path("notify");
  const auto gone = Notifier(path).ready("x");
  REQUIRE_FALSE(gone);
  CHECK(gone.error() == "notify " + path + ": No such file or directory");
  CHECK(Notifier("vsock:2:1234").ready("x").error() == "notify vsock:2:1234: neither a path nor an abstract name");
  CHECK_FALSE(Notifier("/" + std::string(200, 'x')).ready("x"));
  const Manager deaf(path);
  int sent = 0;
  while (sent < 100000 && Notifier(path).status("x")) ++sent;
  CHECK(sent > 0);
  CHECK(sent < 100000);
}

TEST_CASE("notify: the watchdog's time is for the process that the service manager names, and is not inherited") {
  const auto watchdog_of = [](const char* pid, const char* time) {
    pid == nullptr ? ::unsetenv("WATCHDOG_PID") : ::setenv("WATCHDOG_PID", pid, 1);
    ::setenv("WATCHDOG_USEC", time, 1);
    const auto watchdog = Notifier::from_environment().watchdog();
    CHECK(std::getenv("WATCHDOG_USEC") == nullptr);
    CHECK(std::getenv("WATCHDOG_PID") == nullptr);
    return watchdog.count();
  };
  const std::string own = std::to_string(::getpid());
  CHECK(watchdog_of(own.c_str(), "30000000") == 30'000'000);
  CHECK(watchdog_of(nullptr, "30000000") == 30'000'000);
  CHECK(watchdog_of("1", "30000000") == 0);
  CHECK(watchdog_of(own.c_str(), "soon") == 0);
  CHECK(watchdog_of(own.c_str(), "-5") == 0);
}

TEST_CASE("notify: a process that continues in another's place takes over its watchdog") {
  ::setenv("WATCHDOG_PID", "4711", 1);
  ::setenv("WATCHDOG_USEC", "1000000", 1);
  pass_watchdog(1);
  pass_watchdog(4711);
  CHECK(Notifier::from_environment().watchdog().count() == 1'000'000);
}
