// Who may connect to a Unix socket: the options of its bind, at the start and after a reload.
#include "server/sockets/socket_rights.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>

#include "core/child.hpp"
#include "server/sockets/listeners.hpp"
#include "server/sockets/unix_listener.hpp"
#include "tests/support/binds.hpp"
#include "tests/support/child_status.hpp"
#include "tests/support/folder.hpp"

using namespace narwhal;
using namespace narwhal::server;

namespace {

constexpr Retry once{1, std::chrono::milliseconds(0)};

std::string fault_of(const Config& config) {
  const auto listeners = listen_at_start(config, once);
  return listeners ? "no fault" : listeners.error();
}

mode_t mode_of(const std::string& path) {
  struct stat entry {};
  REQUIRE(::lstat(path.c_str(), &entry) == 0);
  return entry.st_mode & 07777;
}

std::pair<uid_t, gid_t> owner_of(const std::string& path) {
  struct stat entry {};
  REQUIRE(::lstat(path.c_str(), &entry) == 0);
  return {entry.st_uid, entry.st_gid};
}

}  // namespace

TEST_CASE("unix listener: the options of a bind come before umask, and its file is never more open") {
  const Folder folder;
  const std::string path = folder.path("a.sock");
  Config config =
      with({unix_at(path, mode(0600)), unix_at(folder.path("b.sock"), mode(0666)), unix_at(folder.path("c.sock"))});
  config.umask = 0117;
  const auto listeners = listen_at_start(config, once);
  REQUIRE(listeners);
  CHECK(mode_of(path) == 0600);
  CHECK(mode_of(folder.path("b.sock")) == 0666);
  CHECK(mode_of(folder.path("c.sock")) == 0660);
}

TEST_CASE("unix listener: owner and group of a bind come before user and group") {
  if (::geteuid() != 0) return;  // only root may change a file's owner
  const Folder folder;
  Config config = with({unix_at(folder.path("a.sock"), owner("1", "2")), unix_at(folder.path("b.sock"), owner("", "2")),
                        unix_at(folder.path("c.sock"))});
  config.user = "65534";
  config.group = "3";
  const auto listeners = listen_at_start(config, once);
  REQUIRE(listeners);
  CHECK(owner_of(folder.path("a.sock")) == std::pair<uid_t, gid_t>{1, 2});
  CHECK(owner_of(folder.path("b.sock")) == std::pair<uid_t, gid_t>{65534, 2});
  CHECK(owner_of(folder.path("c.sock")) == std::pair<uid_t, gid_t>{65534, 3});
}

TEST_CASE("unix listener: the file has its rights before the socket listens") {
  const Folder folder;
  const std::string path = folder.path("a.sock");
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SocketRights rights;
  rights.mode = 0640;
  if (::geteuid() == 0) rights.uid = 1, rights.gid = 2;
  REQUIRE(bind_unix(socket.get(), path, rights));
  CHECK(mode_of(path) == 0640);
  if (::geteuid() == 0) CHECK(owner_of(path) == std::pair<uid_t, gid_t>{1, 2});
  CHECK(state_of_path(path) == PathState::stale);  // a client is refused
}

TEST_CASE("unix listener: an owner that does not exist is an error before anything is bound") {
  const Folder folder;
  const std::string path = folder.path("b.sock");
  CHECK(fault_of(with({unix_at(folder.path("a.sock")), unix_at(path, owner("no-such-user"))})) ==
        "bind unix:" + path + ": owner: user no-such-user: not found on this system: create it, or give another one");
  CHECK(fault_of(with({unix_at(folder.path("a.sock")), unix_at(path, owner("", "no-such-group"))})) ==
        "bind unix:" + path + ": group: group no-such-group: not found on this system: create it, or give another one");
  CHECK_FALSE(std::filesystem::exists(folder.path("a.sock")));
}

TEST_CASE("unix listener: an owner that may not be given is an error that says so, and the file is gone") {
  if (::geteuid() != 0) return;
  const Folder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms::all);
  const int code = exit_code_of([&folder] {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) return 1;
    const std::string path = folder.path("a.sock");
    const std::string error = fault_of(with({unix_at(path, owner("1"))}));
    if (error.find(path + ": owner 1: this process runs as user 65534 and may not give files to other users "
                          "(CAP_CHOWN): start narwhal as root, or remove the option 'owner'") == std::string::npos)
      return 2;
    if (std::filesystem::exists(path)) return 3;
    const std::string group = fault_of(with({unix_at(path, owner("", "1"))}));
    if (group.find("group 1: this process runs as user 65534 and may not give files to groups that it is not in") ==
        std::string::npos)
      return 4;
    return listen_at_start(with({unix_at(path, owner("65534", "65534"))}), once) ? 0 : 5;
  });
  CHECK(code == 0);
}

TEST_CASE("unix listener: new options of an unchanged address apply when its generation takes over") {
  const Folder folder;
  const std::string path = folder.path("a.sock");
  const auto first = or_throw(listen_at_start(with({unix_at(path, mode(0600))}), once));
  const Config next = with({unix_at(path, BindOptions{0666, "", "", 5})});
  const auto second = or_throw(listen_for_reload(next, first));
  CHECK(second == first);
  CHECK(mode_of(path) == 0600);
  apply_options(next, second);
  CHECK(mode_of(path) == 0666);
  // Without its option, the settings apply.
  Config bare = with({unix_at(path)});
  bare.umask = 0077;
  apply_options(bare, or_throw(listen_for_reload(bare, second)));
  CHECK(mode_of(path) == 0700);
  // What somebody else has changed stays while the options stay.
  REQUIRE(::chmod(path.c_str(), 0604) == 0);
  apply_options(bare, or_throw(listen_for_reload(bare, second)));
  CHECK(mode_of(path) == 0604);
}

TEST_CASE("unix listener: a file that is not the socket's own is left alone") {
  const Folder folder;
  const std::string path = folder.path("a.sock");
  const auto first = or_throw(listen_at_start(with({unix_at(path)}), once));
  std::filesystem::rename(path, folder.path("away"));
  folder.write("precious", "data");
  std::filesystem::create_symlink(folder.path("precious"), path);
  const mode_t before = mode_of(folder.path("precious"));
  const Config next = with({unix_at(path, mode(0666))});
  const auto refused = listen_for_reload(next, first);
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == "bind unix:" + path + ": " + path +
                               " is not the file of this server's socket any more: remove it, and reload again");
  apply_options(next, first);
  CHECK(mode_of(folder.path("precious")) == before);
}
