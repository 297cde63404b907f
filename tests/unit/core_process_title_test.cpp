#include "core/process_title.hpp"

#include <doctest/doctest.h>
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "core/child.hpp"
#include "tests/support/child_status.hpp"

using namespace narwhal;

namespace {

std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Where the kernel placed this process's argv, as main() received it.
std::vector<char*> original_arguments() {
  std::string stat = read_all("/proc/self/stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::vector<std::string> all{std::istream_iterator<std::string>(fields), {}};
  REQUIRE(all.size() > 46);
  char* at = reinterpret_cast<char*>(std::stoull(all[45]));
  char* const end = reinterpret_cast<char*>(std::stoull(all[46]));
  std::vector<char*> arguments;
  for (; at < end; at += std::strlen(at) + 1) arguments.push_back(at);
  arguments.push_back(nullptr);
  return arguments;
}

// As ps shows it.
std::string shown() {
  const std::string memory = read_all("/proc/self/cmdline");
  return memory.c_str();
}

// In a child, because its memory is overwritten; `body` gets the moved argv.
int exit_code_of_titled(const std::function<int(char**)>& body) {
  return exit_code_of([&body] {
    std::vector<char*> arguments = original_arguments();
    return body(keep_title_space(static_cast<int>(arguments.size()) - 1, arguments.data()));
  });
}

}  // namespace

TEST_CASE("process title: ps shows it, short or long, cut to the space that there is") {
  const int code = exit_code_of_titled([](char**) {
    set_process_title(std::string(1 << 20, 'y'));
    const std::string cut = shown();
    if (cut.empty() || cut.find_first_not_of('y') != std::string::npos) return 1;
    const std::vector<std::string> titles = {"narwhal: worker 2 [shop] gen 7", "n",
                                             "narwhal: template [" + std::string(60, 'x') + "] gen 1", "narwhal"};
    for (const std::string& title : titles) {
      set_process_title(title);
      if (shown() != title.substr(0, cut.size())) return 2;
    }
    return 0;
  });
  CHECK(code == 0);
}

TEST_CASE("process title: the thread's name is its first 15 bytes") {
  const int code = exit_code_of_titled([](char**) {
    set_process_title("narwhal: worker 2 [shop] gen 7");
    return read_all("/proc/self/comm") == "narwhal: worker\n" ? 0 : 1;
  });
  CHECK(code == 0);
}

TEST_CASE("process title: arguments, environment and the program's name survive it") {
  ::setenv("NARWHAL_TITLE_TEST", "kept", 1);
  ::setenv("NARWHAL_TITLE_OTHER", "x", 1);
  const int code = exit_code_of_titled([](char** argv) {
    const std::string name = argv[0];
    set_process_title(std::string(100000, 'z'));
    if (argv[0] != name) return 1;
    if (std::getenv("NARWHAL_TITLE_TEST") != std::string("kept") ||
        std::getenv("NARWHAL_TITLE_OTHER") != std::string("x"))
      return 2;
    if (program_invocation_name != name) return 3;
    if (::setenv("NARWHAL_TITLE_TEST", "changed", 1) != 0) return 4;
    if (std::getenv("NARWHAL_TITLE_TEST") != std::string("changed")) return 5;
    return ::unsetenv("NARWHAL_TITLE_OTHER") == 0 && std::getenv("NARWHAL_TITLE_OTHER") == nullptr ? 0 : 6;
  });
  CHECK(code == 0);
}

TEST_CASE("process title: a child has its own title") {
  const int code = exit_code_of_titled([](char**) {
    set_process_title("parent");
    Child child = or_throw(fork_child([] {
      set_process_title("child");
      return shown() == "child" ? 0 : 1;
    }));
    int status = -1;
    ::waitpid(child.pid(), &status, 0);
    child.reaped();
    return status == 0 && shown() == "parent" ? 0 : 1;
  });
  CHECK(code == 0);
}
