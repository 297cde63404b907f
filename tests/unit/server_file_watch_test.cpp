// FileWatch: what counts as a change, and when it is reported. The kernel is real; the clock is the test's.
#include "server/file_watch.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "server/path_pattern.hpp"
#include "tests/support/folder.hpp"

using namespace narwhal;
using namespace narwhal::server;
using namespace std::chrono_literals;

namespace {

using Paths = std::vector<std::string>;
namespace fs = std::filesystem;

struct Watched {
  explicit Watched(ReloadEngine engine = ReloadEngine::automatic) {
    watch.begin(engine, now);
    look();
  }

  // What is reported if nothing more happens.
  Paths look() {
    watch.read_events(now);
    now += std::max(FileWatch::quiet_for, FileWatch::poll_every) + 1ns;
    return watch.changed(now);
  }

  FileWatch watch;
  Instant now{1ns};
};

// A time of change different from all before, however fast the test is.
void age(const std::string& path) {
  static std::int64_t seconds = 1'000'000'000;
  const timespec times[2] = {{++seconds, 0}, {seconds, 0}};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

}  // namespace

TEST_CASE("file watch: a file written in place, touched or replaced by rename has changed, with either engine") {
  for (const ReloadEngine engine : {ReloadEngine::automatic, ReloadEngine::inotify, ReloadEngine::poll}) {
    const Folder folder;
    const std::string app = folder.write("app.py", "1");
    age(app);
    Watched files(engine);
    CHECK((files.watch.descriptor() >= 0) == (engine != ReloadEngine::poll));
    files.watch.add(app, 1, files.now);
    CHECK(files.look().empty());
    folder.write("app.py", "two");
    CHECK(files.look() == Paths{app});
    CHECK(files.look().empty());
    age(app);
    CHECK(files.look() == Paths{app});
    fs::rename(folder.write("app.py.new", "two"), app);
    CHECK(files.look() == Paths{app});
    fs::rename(app, app + "~");  // an editor that keeps a copy
    CHECK(files.look().empty());
    folder.write("app.py", "two");
    CHECK(files.look() == Paths{app});
  }
}

TEST_CASE("file watch: a file that is only read, made executable or deleted has not changed, nor have other files") {
  const Folder folder;
  const std::string app = folder.write("app.py", "1");
  Watched files;
  files.watch.add(app, 1, files.now);
  REQUIRE(::chmod(app.c_str(), 0700) == 0);
  CHECK(read_all(app) == "1");
  ::close(::open(app.c_str(), O_WRONLY));
  folder.write("other.py", "1");
  CHECK(files.look().empty());
  fs::remove(app);
  CHECK(files.look().empty());
  folder.write("app.py", "1");
  CHECK(files.look() == Paths{app});
}

TEST_CASE("file watch: a burst is reported once, after a short quiet time, or after a second at the latest") {
  const Folder folder;
  const std::string a = folder.write("a.py", "1"), b = folder.write("b.py", "1");
  Watched files;
  files.watch.add(a, 1, files.now);
  files.watch.add(b, 1, files.now);
  const auto save = [&](const std::string& path) {
    age(path);
    files.watch.read_events(files.now);
  };
  CHECK(files.look().empty());
  CHECK(files.watch.next_deadline() == never);
  save(a);
  CHECK(files.watch.changed(files.now).empty());
  CHECK(files.watch.next_deadline() == files.now + FileWatch::quiet_for);
  files.now += FileWatch::quiet_for - 1ns;
  save(b);
  CHECK(files.watch.changed(files.now).empty());
  files.now += FileWatch::quiet_for;
  CHECK(files.watch.changed(files.now) == Paths{a, b});
  const Instant began = files.now;
  Paths changed;
  while (changed.empty()) {
    save(a);
    changed = files.watch.changed(files.now);
    files.now += FileWatch::quiet_for / 2;
    REQUIRE(files.now < began + 2 * FileWatch::burst_max);
  }
  CHECK(files.now - began >= FileWatch::burst_max);
}

TEST_CASE("file watch: a change at the moment when the file is added is noticed without an event from the kernel") {
  const Folder folder;
  const std::string app = folder.write("app.py", "1");
  Watched files;
  files.watch.add(app, 1, files.now);
  age(app);
  files.now += FileWatch::quiet_for;
  CHECK(files.watch.changed(files.now) == Paths{app});  // read_events() was not called
}

TEST_CASE("file watch: a file that is being written has not changed until it is closed") {
  const Folder folder;
  Watched files;
  files.watch.add(folder.path("app.so"), 1, files.now);
  CHECK(files.look().empty());
  const Fd file(::open(folder.path("app.so").c_str(), O_WRONLY | O_CREAT, 0600));
  REQUIRE(::write(file.get(), "half", 4) == 4);
  files.watch.read_events(files.now);
  CHECK(files.watch.next_deadline() == never);
}

TEST_CASE("file watch: for a link, its target's content counts, and which file the target is") {
  const Folder folder;
  folder.write("one/app.py", "1");
  folder.write("two/app.py", "1");
  const std::string link = folder.path("app.py");
  fs::create_symlink("one/app.py", link);
  Watched files;
  files.watch.add(link, 1, files.now);
  age(folder.path("one/app.py"));
  CHECK(files.look() == Paths{link});
  fs::create_symlink("two/app.py", folder.path("next"));
  fs::rename(folder.path("next"), link);
  CHECK(files.look() == Paths{link});
}

TEST_CASE("file watch: a folder that is removed and made again is watched again") {
  const Folder folder;
  const std::string app = folder.write("pkg/app.py", "1");
  Watched files;
  files.watch.add(app, 1, files.now);
  fs::rename(folder.path("pkg"), folder.path("old"));
  CHECK(files.look().empty());
  folder.write("pkg/app.py", "1");
  CHECK(files.look() == Paths{app});
  CHECK(files.look().empty());
  age(app);
  CHECK(files.look() == Paths{app});
  fs::remove_all(folder.path("pkg"));
  CHECK(files.look().empty());
  CHECK(files.watch.next_deadline() != never);
  folder.write("pkg/app.py", "1");
  CHECK(files.look() == Paths{app});
}

TEST_CASE("file watch: files of former generations alone are not watched any more") {
  const Folder folder;
  const std::string a = folder.write("a.py", "1"), b = folder.write("b.py", "1"), c = folder.write("c.txt", "1");
  Watched files;
  files.watch.add(a, 1, files.now);
  files.watch.add(b, 1, files.now);
  files.watch.add_pattern(folder.path("*.txt"), 1, files.now);
  files.watch.add(b, 2, files.now);
  files.watch.forget_before(2, ReloadEngine::automatic, files.now);
  for (const std::string& path : {a, b, c}) age(path);
  CHECK(files.look() == Paths{b});
  files.watch.end();
  age(b);
  CHECK(files.look().empty());
  CHECK(files.watch.descriptor() == -1);
  CHECK(files.watch.next_deadline() == never);
}

TEST_CASE("file watch: a new file that matches a pattern is a change") {
  const Folder folder;
  folder.write("templates/a.html", "1");
  Watched files;
  files.watch.add_pattern(folder.path("templates/**/*.html"), 1, files.now);
  CHECK(files.look().empty());
  age(folder.path("templates/a.html"));
  CHECK(files.look() == Paths{folder.path("templates/a.html")});
  folder.write("templates/b.txt", "1");
  CHECK(files.look().empty());
  const std::string b = folder.write("templates/b.html", "1");
  CHECK(files.look() == Paths{b});
  fs::create_directory(folder.path("templates/deep"));
  CHECK(files.look().empty());
  const std::string c = folder.write("templates/deep/c.html", "1");
  CHECK(files.look() == Paths{c});
}

TEST_CASE("path pattern: stars, sets and any number of folders") {
  const Folder folder;
  for (const char* name : {"a.txt", "b.txt", ".hidden.txt", "x/a.txt", "x/y/a.txt", "x/y/b.html", ".git/a.txt"}) {
    folder.write(name, "");
  }
  const auto files = [&](const std::string& pattern) {
    Paths found = expand_pattern(folder.path(pattern)).files;
    for (std::string& path : found) path.erase(0, folder.path().size() + 1);
    std::sort(found.begin(), found.end());
    return found;
  };
  CHECK(files("*.txt") == Paths{"a.txt", "b.txt"});
  CHECK(files("[b-z].txt") == Paths{"b.txt"});
  CHECK(files("?.txt") == Paths{"a.txt", "b.txt"});
  CHECK(files(".*.txt") == Paths{".hidden.txt"});
  CHECK(files("*/a.txt") == Paths{"x/a.txt"});
  CHECK(files("**/a.txt") == Paths{"a.txt", "x/a.txt", "x/y/a.txt"});
  CHECK(files("**/*.html") == Paths{"x/y/b.html"});
  CHECK(files("x/**") == Paths{"x/a.txt", "x/y/a.txt", "x/y/b.html"});
  CHECK(files("nowhere/*.txt").empty());
  CHECK(files("a.txt/*").empty());
  CHECK(is_pattern("/a/*.py"));
  CHECK_FALSE(is_pattern("/a/b.py"));
}
