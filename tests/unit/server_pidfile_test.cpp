#include "server/pidfile.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "core/child.hpp"
#include "core/fd.hpp"
#include "tests/support/child_status.hpp"
#include "tests/support/folder.hpp"

using namespace narwhal;
using namespace narwhal::server;

namespace {

std::string own_text() { return std::to_string(::getpid()) + "\n"; }

// A semaphore across processes.
class Gate {
 public:
  Gate() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    out_ = Fd(ends[0]);
    in_ = Fd(ends[1]);
  }
  void open(int count) const {
    for (int i = 0; i < count; ++i) static_cast<void>(!::write(in_.get(), "x", 1));
  }
  void pass() const {
    char byte;
    static_cast<void>(!::read(out_.get(), &byte, 1));
  }

 private:
  Fd out_, in_;
};

std::size_t files_in(const Folder& folder) {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator(folder.path()), std::filesystem::directory_iterator()));
}

}  // namespace

TEST_CASE("pidfile: it contains the pid, readable by all, and is removed with its owner") {
  const Folder folder;
  const std::string path = folder.path("narwhal.pid");
  {
    const auto pidfile = Pidfile::create(path);
    REQUIRE(pidfile);
    CHECK(read_all(path) == own_text());
    struct stat entry {};
    REQUIRE(::stat(path.c_str(), &entry) == 0);
    CHECK((entry.st_mode & 07777) == 0644);
    CHECK(files_in(folder) == 1);
  }
  CHECK(files_in(folder) == 0);
}

TEST_CASE("pidfile: a living owner is a conflict with Gunicorn's message, and keeps its file") {
  const Folder folder;
  const std::string path = folder.path("narwhal.pid");
  const auto first = Pidfile::create(path);
  REQUIRE(first);
  const auto second = Pidfile::create(path);
  REQUIRE_FALSE(second);
  CHECK(second.error() ==
        "Already running on PID " + std::to_string(::getpid()) + " (or pid file '" + path + "' is stale)");
  CHECK(read_all(path) == own_text());
  CHECK(files_in(folder) == 1);
}

TEST_CASE("pidfile: a file that is not locked never blocks a start, whatever process has that pid now") {
  const Folder folder;
  for (const char* text : {"1\n", "999999\n", "", "garbage", "-5"}) {
    CAPTURE(text);
    const std::string path = folder.write("narwhal.pid", text);
    const auto pidfile = Pidfile::create(path);
    REQUIRE(pidfile);
    CHECK(read_all(path) == own_text());
  }
}

TEST_CASE("pidfile: the file of a killed owner does not block the next start") {
  const Folder folder;
  const std::string path = folder.path("narwhal.pid");
  CHECK(exit_code_of([&path] {
          auto* const left = new Result<Pidfile>(Pidfile::create(path));
          return *left ? 0 : 1;  // leaves by _exit, as if killed
        }) == 0);
  CHECK(std::filesystem::exists(path));
  CHECK(Pidfile::create(path));
}

TEST_CASE("pidfile: a forked child removes nothing") {
  const Folder folder;
  const std::string path = folder.path("narwhal.pid");
  auto pidfile = std::make_unique<Pidfile>(or_throw(Pidfile::create(path)));
  CHECK(exit_code_of([&pidfile] {
          pidfile.reset();
          return 0;
        }) == 0);
  CHECK(read_all(path) == own_text());
}

TEST_CASE("pidfile: a file that took the name meanwhile is not removed") {
  const Folder folder;
  const std::string path = folder.path("narwhal.pid");
  {
    const auto pidfile = Pidfile::create(path);
    REQUIRE(pidfile);
    std::filesystem::remove(path);
    folder.write("narwhal.pid", "somebody else\n");
  }
  CHECK(read_all(path) == "somebody else\n");
}

TEST_CASE("pidfile: of many starts at once exactly one wins") {
  const Folder folder;
  constexpr int count = 8;
  for (const bool stale : {false, true}) {
    CAPTURE(stale);
    const std::string path = folder.path(stale ? "stale.pid" : "new.pid");
    if (stale) folder.write("stale.pid", "1\n");
    Gate start, tried, leave;
    std::vector<Child> starts;
    for (int i = 0; i < count; ++i) {
      starts.push_back(or_throw(fork_child([&] {
        start.pass();
        auto* const pidfile = new Result<Pidfile>(Pidfile::create(path));  // the winner keeps its lock
        tried.open(1);
        leave.pass();
        return *pidfile ? 1 : 0;
      })));
    }
    start.open(count);
    for (int i = 0; i < count; ++i) tried.pass();
    leave.open(count);
    int winners = 0;
    for (Child& child : starts) {
      int status = -1;
      REQUIRE(::waitpid(child.pid(), &status, 0) == child.pid());
      child.reaped();
      winners += WEXITSTATUS(status);
    }
    CHECK(winners == 1);
  }
}

TEST_CASE("pidfile: a missing folder is an error with a message") {
  const Folder folder;
  const auto pidfile = Pidfile::create(folder.path("none/narwhal.pid"));
  REQUIRE_FALSE(pidfile);
  CHECK(pidfile.error() == "create pid file " + folder.path("none/narwhal.pid") + ": No such file or directory");
}
