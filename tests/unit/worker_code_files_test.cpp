#include "worker/code_files.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "narwhal/plugin.h"
#include "worker/watched_files.hpp"

using narwhal::worker::CodeFiles;

namespace {

struct Sources {
  Sources() { std::filesystem::create_directories(folder); }
  ~Sources() { std::filesystem::remove_all(folder); }
  // With a time of its own, as an editor leaves it.
  std::string write(const std::string& name, const std::string& text, long seconds) const {
    const std::string path = folder + "/" + name;
    std::ofstream(path) << text;
    const timespec times[] = {{seconds, 0}, {seconds, 0}};
    ::utimensat(AT_FDCWD, path.c_str(), times, 0);
    return path;
  }
  std::string folder = (std::filesystem::temp_directory_path() / ("code_files" + std::to_string(::getpid()))).string();
};

narwhal::Fd memory() { return narwhal::Fd(::memfd_create("code-files", MFD_CLOEXEC)); }

// A worker, forked from here, that was made from these files.
std::string changed_in_worker(CodeFiles& files, const std::vector<std::string>& paths) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t worker = ::fork();
  if (worker == 0) {
    for (const std::string& path : paths) files.compare(path);
    const std::string changed = files.changed_text();
    ::_exit(::write(ends[1], changed.data(), changed.size()) == static_cast<ssize_t>(changed.size()) ? 0 : 1);
  }
  ::close(ends[1]);
  char text[1000];
  const ssize_t size = ::read(ends[0], text, sizeof text);
  ::close(ends[0]);
  int status = 1;
  REQUIRE(::waitpid(worker, &status, 0) == worker);
  CHECK(status == 0);
  return {text, static_cast<std::size_t>(size)};
}

}  // namespace

TEST_CASE("code files: the first worker that names a file decides, in whatever order") {
  const Sources sources;
  CodeFiles files(memory());
  std::vector<std::string> paths;
  for (int number = 0; number < 200; ++number)
    paths.push_back(sources.write("m" + std::to_string(number) + ".py", "1", 1000));
  CHECK(changed_in_worker(files, {paths[7]}).empty());
  CHECK(changed_in_worker(files, paths).empty());
  CHECK(changed_in_worker(files, {paths.rbegin(), paths.rend()}).empty());
  sources.write("m50.py", "2", 1001);
  CHECK(changed_in_worker(files, paths) == paths[50]);
  CHECK(changed_in_worker(files, paths) == paths[50]);  // it does not become the new truth
  sources.write("m7.py", "longer", 1000);
  CHECK(changed_in_worker(files, {paths[50], paths[7]}) == paths[50] + " and 1 other");
  sources.write("m8.py", "longer", 1000);
  CHECK(changed_in_worker(files, paths) == paths[7] + " and 2 others");
  CHECK(changed_in_worker(files, {paths[9]}).empty());
}

TEST_CASE("code files: what is missing, or named for the first time, has not changed") {
  const Sources sources;
  CodeFiles files(memory());
  const std::string path = sources.write("late.py", "1", 1000);
  CHECK(changed_in_worker(files, {sources.folder + "/none.py", std::string(5000, '/')}).empty());
  sources.write("none.py", "1", 1000);
  CHECK(changed_in_worker(files, {sources.folder + "/none.py", path}).empty());
}

TEST_CASE("code files: a later template has the same memory; without memory nothing is compared") {
  const Sources sources;
  const narwhal::Fd shared = memory();
  const std::string path = sources.write("a.py", "1", 1000);
  {
    CodeFiles first(narwhal::Fd(::dup(shared.get())));
    CHECK(changed_in_worker(first, {path}).empty());
  }
  sources.write("a.py", "2", 1001);
  CodeFiles second(narwhal::Fd(::dup(shared.get()))), none{narwhal::Fd()};
  CHECK(changed_in_worker(second, {path}) == path);
  CHECK(changed_in_worker(none, {path}).empty());
}

TEST_CASE("code files: when there is no more room, the rest is not compared") {
  const Sources sources;
  CodeFiles files(memory());
  const std::string path = sources.write("a.py", "1", 1000);
  std::vector<std::string> names;  // many names of one file
  for (int slashes = 0; slashes < 100; ++slashes)
    names.push_back(sources.folder + std::string(slashes + 1, '/') + "a.py");
  for (int dots = 0; dots < 90; ++dots) {
    std::string folder = sources.folder;
    for (int each = 0; each <= dots; ++each) folder += "/.";
    for (int slashes = 0; slashes < 100; ++slashes) names.push_back(folder + std::string(slashes + 1, '/') + "a.py");
  }
  REQUIRE(names.size() > 8192);
  CHECK(changed_in_worker(files, names).empty());
  sources.write("a.py", "2", 1001);
  CHECK(changed_in_worker(files, {names.back()}).empty());
  CHECK(changed_in_worker(files, {names.front()}) == names.front());
}

TEST_CASE("watched files: plugins are asked for them until the set-up has ended") {
  using namespace narwhal::worker;
  CHECK(watch_file("/a") == NARWHAL_STATE);
  CodeFiles files(memory());
  begin_set_up(&files);
  CHECK(watch_file("/a") == NARWHAL_OK);
  CHECK(watch_file("a") == NARWHAL_REFUSED);
  end_set_up();
  CHECK(watch_file("/a") == NARWHAL_STATE);
}
