#include "server/staging/staging.hpp"

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/child.hpp"
#include "core/plugin_text.hpp"
#include "server/staging/plugin_files.hpp"
#include "tests/support/child_status.hpp"
#include "tests/support/folder.hpp"
#include "tests/unit/elf_image.hpp"

using namespace narwhal;
using namespace narwhal::server;

namespace {

namespace fs = std::filesystem;

StageArea area_in(const Folder& folder) { return or_throw(StageArea::create(folder.path())); }

std::string fault_of(const std::string& source, StageArea& area) {
  const auto staged = stage_plugin(source, area);
  return staged ? "no fault" : staged.error();
}

std::string plugin(const std::string& padding = {}) {
  ElfImage image;
  image.padding = padding;
  return image.build();
}

std::string library(const std::string& padding = {}) {
  ElfImage image;
  image.defined = {"shop"};
  image.padding = padding;
  return image.build();
}

mode_t mode_of(const std::string& path) {
  struct stat entry {};
  REQUIRE(::stat(path.c_str(), &entry) == 0);
  return entry.st_mode & 07777;
}

std::size_t entries_in(const std::string& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("staging: the copy is the same bytes, readable by all and writable by none, whatever the umask") {
  const Folder sources, stage;
  const std::string source = sources.write("app.so", plugin());
  const mode_t umask = ::umask(077);
  StageArea area = area_in(stage);
  const auto staged = stage_plugin(source, area);
  ::umask(umask);
  REQUIRE(staged);
  CHECK(staged->source == source);
  CHECK(staged->copy == area.folder() + "/" + staged->digest + source);
  CHECK(read_all(staged->copy) == plugin());
  CHECK(mode_of(staged->copy) == 0555);
  for (fs::path folder = fs::path(staged->copy).parent_path(); folder != stage.path(); folder = folder.parent_path()) {
    CHECK(mode_of(folder.string()) == 0755);
  }
}

TEST_CASE("staging: a plugin's digest is what sha256sum prints") {
  const Folder sources, stage;
  StageArea area = area_in(stage);
  const std::string source = sources.write("app.so", plugin());
  FILE* const pipe = ::popen(("sha256sum " + source).c_str(), "r");
  REQUIRE(pipe != nullptr);
  char digest[65] = {};
  REQUIRE(::fread(digest, 1, 64, pipe) == 64);
  ::pclose(pipe);
  CHECK(stage_plugin(source, area)->digest == digest);
}

TEST_CASE("staging: writing over the source afterwards does not change the copy") {
  const Folder sources, stage;
  StageArea area = area_in(stage);
  const std::string source = sources.write("app.so", plugin("first"));
  const auto first = stage_plugin(source, area);
  REQUIRE(first);
  sources.write("app.so", plugin("second"));
  CHECK(read_all(first->copy) == plugin("first"));
  const auto second = stage_plugin(source, area);
  REQUIRE(second);
  CHECK(second->digest != first->digest);
  CHECK(read_all(first->copy) == plugin("first"));
  CHECK(read_all(second->copy) == plugin("second"));
}

TEST_CASE("staging: equal contents are staged once") {
  const Folder sources, stage;
  StageArea area = area_in(stage);
  const std::string source = sources.write("app.so", plugin());
  const auto first = stage_plugin(source, area);
  REQUIRE(first);
  struct stat before {
  }, after{};
  REQUIRE(::stat(first->copy.c_str(), &before) == 0);
  const auto second = stage_plugin(source, area);
  REQUIRE(second);
  CHECK(second->copy == first->copy);
  REQUIRE(::stat(first->copy.c_str(), &after) == 0);
  CHECK(before.st_ino == after.st_ino);
}

TEST_CASE("staging: errors name the source, the file and the step") {
  const Folder sources, stage;
  StageArea area = area_in(stage);
  const std::string path = sources.path("app.so");
  CHECK(fault_of(path, area) == "stage " + path + ": open: No such file or directory");
  sources.write("app.so", "");
  CHECK(fault_of(path, area) == "stage " + path + ": the file is empty");
  sources.write("app.so", "#!/bin/sh");
  CHECK(fault_of(path, area) == "stage " + path + ": not an ELF file");
  sources.write("app.so", plugin().substr(0, 300));
  CHECK(fault_of(path, area).starts_with("stage " + path + ": truncated: "));
  sources.write("app.so", library());
  CHECK(fault_of(path, area) == "stage " + path + ": " + no_plugin_text);
  ElfImage newer;
  newer.defined = {"narwhal_plugin_v2"};
  sources.write("app.so", newer.build());
  CHECK(fault_of(path, area) ==
        "stage " + path +
            ": a plugin for version 2 of the plugin ABI (narwhal_plugin_v2), but this narwhal has version 1 "
            "(narwhal_plugin_v1): build the plugin again with this narwhal's headers, or run a narwhal that has its "
            "version");
  const std::string elsewhere = sources.path("none/app.so");
  CHECK(fault_of(elsewhere, area) ==
        "stage " + elsewhere + ": find: " + sources.path("none") + ": No such file or directory");
  CHECK(fault_of(sources.path() + "/.", area).find("not a regular file") != std::string::npos);
  REQUIRE(::mkfifo(sources.path("pipe.so").c_str(), 0600) == 0);
  CHECK(fault_of(sources.path("pipe.so"), area).ends_with("not a regular file"));
  CHECK(entries_in(area.folder()) == 1);  // only the marker
}

TEST_CASE("staging: libraries that are found by $ORIGIN are copied too, and those that they need, to the same places") {
  const Folder sources, stage;
  StageArea area = area_in(stage);
  ElfImage app;
  app.needed = {"libshop.so", "libc.so.6", "libstore.so"};
  app.runpath = "/nonexistent:$ORIGIN/../lib:${ORIGIN}";
  ElfImage shop;
  shop.defined = {"shop"};
  shop.needed = {"libdeep.so", "libshop.so"};  // a cycle is allowed
  shop.runpath = "$ORIGIN/deep";
  const std::string source = sources.write("srv/app/app.so", app.build());
  sources.write("srv/lib/libshop.so", shop.build());
  sources.write("srv/lib/libstranger.so", library("not needed"));
  sources.write("srv/lib/deep/libdeep.so", library("deep"));
  sources.write("srv/app/libstore.so", library("store"));
  const auto staged = stage_plugin(source, area);
  REQUIRE(staged);
  const std::string origin = fs::path(staged->copy).parent_path().string();
  CHECK(read_all(origin + "/../lib/libshop.so") == shop.build());
  CHECK(read_all(origin + "/../lib/deep/libdeep.so") == library("deep"));
  CHECK(read_all(origin + "/libstore.so") == library("store"));
  CHECK_FALSE(fs::exists(origin + "/../lib/libstranger.so"));
  CHECK(mode_of(origin + "/libstore.so") == 0555);

  sources.write("srv/lib/deep/libdeep.so", library("deeper"));
  const auto again = stage_plugin(source, area);
  REQUIRE(again);
  CHECK(again->digest != staged->digest);  // the digest covers them all
}

TEST_CASE("staging: folders that a path only passes through exist in the copy's tree") {
  const Folder sources, stage;
  StageArea area = area_in(stage);
  ElfImage app;
  app.needed = {"libshop.so"};
  app.runpath = "$ORIGIN/bin/../lib";
  const std::string source = sources.write("app.so", app.build());
  fs::create_directories(sources.path("bin"));
  sources.write("lib/libshop.so", library());
  const auto staged = stage_plugin(source, area);
  REQUIRE(staged);
  CHECK(read_all(fs::path(staged->copy).parent_path().string() + "/bin/../lib/libshop.so") == library());
}

TEST_CASE("staging: an RPATH also applies to the needs of the needed libraries, a RUNPATH does not") {
  const Folder sources, stage;
  StageArea area = area_in(stage);
  ElfImage app, shop;
  app.needed = {"libshop.so"};
  shop.defined = {};
  shop.needed = {"libdeep.so"};  // without its own path
  sources.write("lib/libshop.so", shop.build());
  sources.write("lib/libdeep.so", library());
  const auto stages_deep = [&] {
    const auto staged = stage_plugin(sources.write("app.so", app.build()), area);
    REQUIRE(staged);
    return fs::exists(fs::path(staged->copy).parent_path() / "lib/libdeep.so");
  };
  app.rpath = "$ORIGIN/lib";
  CHECK(stages_deep());
  app.rpath = "";
  app.runpath = "$ORIGIN/lib";
  CHECK_FALSE(stages_deep());
}

TEST_CASE("staging: $ORIGIN is the folder where a plugin was found, not where a link points") {
  const Folder sources, stage;
  StageArea area = area_in(stage);
  ElfImage app;
  app.needed = {"libshop.so"};
  app.runpath = "$ORIGIN";
  sources.write("build/app.so", app.build());
  sources.write("v1/libshop.so", library("v1"));
  fs::create_symlink("../build/app.so", sources.path("v1/app.so"));
  fs::create_directory_symlink("v1", sources.path("current"));
  const auto staged = stage_plugin(sources.path("current/app.so"), area);
  REQUIRE(staged);
  CHECK(staged->copy == area.folder() + "/" + staged->digest + sources.path("v1/app.so"));
  CHECK(read_all(fs::path(staged->copy).parent_path().string() + "/libshop.so") == library("v1"));
}

TEST_CASE("staging: a broken library is an error that names it") {
  const Folder sources, stage;
  StageArea area = area_in(stage);
  ElfImage app;
  app.needed = {"libshop.so"};
  app.runpath = "$ORIGIN";
  const std::string source = sources.write("app.so", app.build());
  sources.write("libshop.so", "half a f");
  CHECK(fault_of(source, area) == "stage " + source + ": " + sources.path("libshop.so") + ": not an ELF file");
}

TEST_CASE("staging: a plugin with too many libraries is refused") {
  const Folder sources, stage;
  StageArea area = area_in(stage);
  ElfImage app;
  app.runpath = "$ORIGIN";
  for (int i = 0; i < 300; ++i) {
    app.needed.push_back("lib" + std::to_string(i) + ".so");
    sources.write(app.needed.back(), library());
  }
  CHECK(fault_of(sources.write("app.so", app.build()), area)
            .ends_with("with its libraries the plugin has more than 256 files or 1073741824 bytes"));
}

TEST_CASE("staging: a file that changes while it is being read is an error, not a plugin") {
  const Folder sources;
  const std::string path = sources.write("app.so", std::string(64 << 20, 'x'));
  Child writer = or_throw(fork_child([&path] {
    while (true) std::ofstream(path, std::ios::app) << 'y' << std::flush;
    return 0;
  }));
  // Each read takes milliseconds, each append microseconds: if 200 reads notice none, that is a bug.
  bool noticed = false;
  for (int i = 0; i < 200 && !noticed; ++i) {
    const auto bytes = read_steady_file(path);
    noticed = !bytes && bytes.error() == "the file changed while it was being read: is it still being copied?";
  }
  CHECK(noticed);
  CHECK(writer.send(SIGKILL));
  REQUIRE(::waitpid(writer.pid(), nullptr, 0) == writer.pid());
  writer.reaped();
}

TEST_CASE("stage area: it keeps the copies in use, and its destructor removes all") {
  const Folder sources, stage;
  std::string folder;
  {
    StageArea area = area_in(stage);
    folder = area.folder();
    const auto first = stage_plugin(sources.write("a.so", plugin("a")), area);
    const auto second = stage_plugin(sources.write("b.so", plugin("b")), area);
    REQUIRE(first);
    REQUIRE(second);
    area.keep_only({*second});
    CHECK_FALSE(fs::exists(first->copy));
    CHECK(fs::exists(second->copy));
    CHECK(stage_plugin(sources.path("a.so"), area));  // and can be staged again
    StageArea moved = std::move(area);
    CHECK(fs::exists(second->copy));
  }
  CHECK_FALSE(fs::exists(folder));
  CHECK(entries_in(stage.path()) == 0);
}

TEST_CASE("stage area: a forked child's copy of the object removes nothing") {
  const Folder stage;
  auto area = std::make_unique<StageArea>(area_in(stage));
  CHECK(exit_code_of([&area] {
          area.reset();
          return 0;
        }) == 0);
  CHECK(fs::exists(area->folder()));
}

TEST_CASE("stage area: the folder of a killed master is removed by the next one, folders in use or of others stay") {
  const Folder stage;
  CHECK(exit_code_of([&stage] {
          auto* const area = new StageArea(area_in(stage));
          return area->folder().empty() ? 1 : 0;  // leaves by _exit, as if killed
        }) == 0);
  CHECK(entries_in(stage.path()) == 1);
  stage.write("narwhal-abcdef/precious", "not ours: no marker");
  const StageArea first = area_in(stage);
  const StageArea second = area_in(stage);
  CHECK(fs::exists(first.folder()));
  CHECK(fs::exists(stage.path("narwhal-abcdef/precious")));
  CHECK(entries_in(stage.path()) == 3);
}

TEST_CASE("stage area: what a master left that was killed before it had marked its folder is removed when it is old") {
  const Folder stage;
  for (const char* const name : {"narwhal-oldold", "narwhal-newnew"}) fs::create_directory(stage.path(name));
  const auto minutes_ago = fs::file_time_type::clock::now() - std::chrono::minutes(2);
  fs::last_write_time(stage.path("narwhal-oldold"), minutes_ago);
  const StageArea area = area_in(stage);
  CHECK_FALSE(fs::exists(stage.path("narwhal-oldold")));
  CHECK(fs::exists(stage.path("narwhal-newnew")));
}

TEST_CASE("stage area: a start with another stage_dir also removes what was left in the default places") {
  const Folder runtime, stage;
  ::chmod(runtime.path().c_str(), 0755);
  const char* const former = std::getenv("XDG_RUNTIME_DIR");
  const std::string kept = former == nullptr ? "" : former;
  ::setenv("XDG_RUNTIME_DIR", runtime.path().c_str(), 1);
  CHECK(exit_code_of([] {
          auto* const area = new narwhal::Result<StageArea>(StageArea::create(""));
          return *area ? 0 : 1;
        }) == 0);
  CHECK(entries_in(runtime.path()) == 1);
  const auto area = StageArea::create(stage.path());
  CHECK(entries_in(runtime.path()) == 0);
  former == nullptr ? ::unsetenv("XDG_RUNTIME_DIR") : ::setenv("XDG_RUNTIME_DIR", kept.c_str(), 1);
}

TEST_CASE("stage area: root removes what a killed master of another user left") {
  if (::geteuid() != 0) return;
  const Folder stage;
  stage.write("narwhal-abcdef/.narwhal-stage", "");
  REQUIRE(::chown(stage.path("narwhal-abcdef").c_str(), 65534, 65534) == 0);
  const StageArea area = area_in(stage);
  CHECK_FALSE(fs::exists(stage.path("narwhal-abcdef")));
}

TEST_CASE("stage area: a place that cannot be used is skipped, and no usable place is an error with a message") {
  const Folder stage;
  const std::string absent = stage.path("absent");
  const auto area = StageArea::create_in({absent, stage.path()});
  REQUIRE(area);
  CHECK(area->folder().starts_with(stage.path()));
  const auto none = StageArea::create_in({absent, "/proc"});
  REQUIRE_FALSE(none);
  CHECK(none.error().find("stage_dir: no usable directory for private copies of plugins: " + absent +
                          ": No such file or directory; /proc") == 0);
}

TEST_CASE("stage area: without a folder a plugin that could be overwritten is refused, with the reason") {
  const Folder sources;
  StageArea area = StageArea::without_folder("stage_dir: no place");
  CHECK(area.folder().empty());
  const std::string source = sources.write("a.so", plugin());
  CHECK(fault_of(source, area) == "stage " + source + ": stage_dir: no place");
  area.keep_only({});
  const StageArea moved = std::move(area);
  CHECK(moved.folder().empty());
  CHECK(fs::exists(source));
}

TEST_CASE("staging: an area of sources makes no copy, but checks the file") {
  const Folder sources;
  StageArea area = StageArea::of_sources();
  const std::string source = sources.write("a.so", plugin());
  const auto staged = stage_plugin(source, area);
  REQUIRE(staged);
  CHECK(staged->copy == source);
  CHECK(staged->source == source);
  CHECK(fault_of(sources.write("b.so", "#!/bin/sh\n"), area).find("not an ELF file") != std::string::npos);
  area.keep_only({});
  CHECK(fs::exists(source));
}

TEST_CASE("staging: the loader takes a real plugin's library from the copy, when the source has gone") {
  const Folder sources, stage;
  StageArea area = area_in(stage);
  sources.write("shop.c", "int shop(void) { return 42; }\n");
  sources.write("app.c", "int shop(void); const int narwhal_plugin_v1 = 1;\nint ask(void) { return shop(); }\n");
  fs::create_directories(sources.path("lib"));
  const std::string build = "cd " + sources.path() + " && cc -shared -fPIC -o lib/libshop.so shop.c && " +
                            "cc -shared -fPIC -o app.so app.c -Llib -lshop '-Wl,-rpath,$ORIGIN/lib'";
  REQUIRE(std::system(build.c_str()) == 0);
  const auto staged = stage_plugin(sources.path("app.so"), area);
  REQUIRE(staged);
  fs::remove(sources.path("lib/libshop.so"));
  CHECK(exit_code_of([&staged] {
          void* const loaded = ::dlopen(staged->copy.c_str(), RTLD_NOW | RTLD_LOCAL);
          if (loaded == nullptr) return 1;
          const auto ask = reinterpret_cast<int (*)()>(::dlsym(loaded, "ask"));
          return ask != nullptr ? ask() : 2;
        }) == 42);
}
