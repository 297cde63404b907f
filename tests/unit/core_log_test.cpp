#include "core/log.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>
#include <vector>

#include "core/check.hpp"
#include "core/child.hpp"
#include "tests/support/child_status.hpp"
#include "tests/support/folder.hpp"

using namespace narwhal;

namespace {

// A log in its own folder; its destructor sets the log to stderr at level info again.
class LogFile {
 public:
  explicit LogFile(LogLevel level = LogLevel::debug) { REQUIRE(log::open(path(), level)); }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  ~LogFile() { static_cast<void>(log::open("-", LogLevel::info)); }
  std::string path(const std::string& name = "error.log") const { return folder_.path(name); }
  std::vector<std::string> lines(const std::string& name = "error.log") const {
    std::ifstream file(path(name));
    std::vector<std::string> all;
    for (std::string line; std::getline(file, line);) all.push_back(line);
    return all;
  }

 private:
  const Folder folder_;
};

std::string text_of(const std::string& line) {
  const std::string_view mark = "[INFO] ";
  const auto at = line.find(mark);
  return at == std::string::npos ? "no [INFO]" : line.substr(at + mark.size());
}

}  // namespace

TEST_CASE("log: a line has Gunicorn's format") {
  const LogFile file;
  log::info("Listening at: {} ({})", "http://127.0.0.1:8000", 7);
  const auto lines = file.lines();
  REQUIRE(lines.size() == 1);
  // The digits' places, then the rest literally.
  std::string shape = lines[0].substr(0, 28);
  for (char& c : shape) c = c >= '0' && c <= '9' ? 'd' : c == '-' ? '+' : c;
  CHECK(shape == "[dddd+dd+dd dd:dd:dd +dddd] ");
  CHECK(lines[0].substr(28) == "[" + std::to_string(::getpid()) + "] [INFO] Listening at: http://127.0.0.1:8000 (7)");
}

TEST_CASE("log: the zone is the local one, without a colon") {
  const LogFile file;
  CHECK(status_of([] {
          ::setenv("TZ", "XYZ+03:30", 1);  // POSIX counts hours west of Greenwich
          ::tzset();
          std::thread([] { log::info("x"); }).join();  // a thread that has not read the clock in this second
          return 0;
        }) == 0);
  CHECK(file.lines().at(0).find(" -0330] [") != std::string::npos);
}

TEST_CASE("log: levels have Gunicorn's names, and those below the chosen one are not logged") {
  const LogFile file(LogLevel::warning);
  log::debug("a");
  log::info("b");
  log::warning("c");
  log::error("d");
  log::critical("e");
  const auto lines = file.lines();
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].ends_with("[WARNING] c"));
  CHECK(lines[1].ends_with("[ERROR] d"));
  CHECK(lines[2].ends_with("[CRITICAL] e"));
}

TEST_CASE("log: no text can forge a line or reach a terminal with a control byte") {
  const LogFile file;
  log::write(LogLevel::info, std::string_view("a\nb\r\tc\x1b[31m\x7f\0d \xc3\xa4 \\", 19));
  const auto lines = file.lines();
  REQUIRE(lines.size() == 1);
  CHECK(text_of(lines[0]) == "a\\nb\\r\\tc\\x1b[31m\\x7f\\x00d \xc3\xa4 \\");
}

TEST_CASE("log: a text that looks like a format is printed as it is") {
  const LogFile file;
  log::info("{}", "{} {0} %v");
  CHECK(text_of(file.lines().at(0)) == "{} {0} %v");
}

TEST_CASE("log: a line longer than 32 KiB is cut and marked") {
  const LogFile file;
  log::info("{}", std::string(40000, 'x'));
  CHECK(text_of(file.lines().at(0)) == std::string(32768, 'x') + " [cut]");
}

TEST_CASE("log: a text of several lines follows its line unchanged, and has no head without one") {
  const LogFile file;
  log::write(LogLevel::error, "it \nfailed", "Traceback:\n  \"a.py\", line 1\n\n");
  log::write(LogLevel::debug, "", "printed\n");
  const auto lines = file.lines();
  REQUIRE(lines.size() == 4);
  CHECK(lines[0].ends_with("[ERROR] it \\nfailed"));
  CHECK(lines[1] == "Traceback:");
  CHECK(lines[2] == "  \"a.py\", line 1");
  CHECK(lines[3] == "printed");
}

TEST_CASE("log: two processes that write 64 KiB lines into one file never mix them") {
  const LogFile file;
  constexpr int each = 200;
  const auto write_lines = [](char filler) {
    // Escaped, these 64 KiB become twice as much and are cut at 32 KiB; without a control byte they are cut too.
    for (int i = 0; i < each; ++i) log::info("{}", std::string(i % 2 == 0 ? 65536 : 30000, filler));
    return 0;
  };
  Child first = or_throw(fork_child([&] { return write_lines('a'); }));
  Child second = or_throw(fork_child([&] { return write_lines('b'); }));
  for (Child* child : {&first, &second}) {
    REQUIRE(::waitpid(child->pid(), nullptr, 0) == child->pid());
    child->reaped();
  }
  const auto lines = file.lines();
  REQUIRE(lines.size() == 2 * each);
  std::multiset<std::string> kinds;
  for (const std::string& line : lines) {
    const std::string text = text_of(line);
    const bool one_writer = text.find_first_not_of(text[0] == 'a' ? "a" : "b") >= 30000;
    CHECK(one_writer);
    kinds.insert(text[0] + std::to_string(text.size()));
  }
  CHECK(kinds.count("a32774") == each / 2);
  CHECK(kinds.count("b30000") == each / 2);
}

TEST_CASE("log: threads write whole lines") {
  const LogFile file;
  std::vector<std::thread> threads;
  for (char letter = 'a'; letter < 'e'; ++letter) {
    threads.emplace_back([letter] {
      for (int i = 0; i < 100; ++i) log::info("{}", std::string(2000, letter));
    });
  }
  for (auto& thread : threads) thread.join();
  const auto lines = file.lines();
  REQUIRE(lines.size() == 400);
  CHECK(std::all_of(lines.begin(), lines.end(), [](const std::string& line) {
    const std::string text = text_of(line);
    return text == std::string(2000, text[0]);
  }));
}

TEST_CASE("log: it continues in a forked child, with the child's pid") {
  const LogFile file;
  log::info("before");
  CHECK(status_of([] {
          log::info("in the child");
          return 0;
        }) == 0);
  log::info("after");
  const auto lines = file.lines();
  REQUIRE(lines.size() == 3);
  const std::string own = "[" + std::to_string(::getpid()) + "]";
  CHECK(lines[0].find(own) != std::string::npos);
  CHECK(lines[1].find(own) == std::string::npos);
  CHECK(lines[2].find(own) != std::string::npos);
}

TEST_CASE("log: reopen follows a rename, under the same descriptor") {
  const LogFile file;
  const int descriptor = log::descriptor();
  log::info("old");
  std::filesystem::rename(file.path(), file.path("error.log.1"));
  log::info("still old");
  REQUIRE(log::reopen());
  log::info("new");
  CHECK(log::descriptor() == descriptor);
  CHECK(file.lines("error.log.1").size() == 2);
  CHECK(text_of(file.lines().at(0)) == "new");
}

TEST_CASE("log: a target that cannot be opened is an error with a message, and the former target stays") {
  const LogFile file;
  const auto opened = log::open("/nonexistent/folder/error.log", LogLevel::info);
  REQUIRE_FALSE(opened);
  CHECK(opened.error() == "open log /nonexistent/folder/error.log: No such file or directory");
  CHECK_FALSE(log::open("", LogLevel::info));
  log::info("still here");
  CHECK(file.lines().size() == 1);
}

TEST_CASE("log: changing the target closes the former one") {
  const LogFile file;
  const int former = log::descriptor();
  REQUIRE(log::open("-", LogLevel::info));
  struct stat target {
  }, standard_error{};
  REQUIRE(::fstat(log::descriptor(), &target) == 0);
  REQUIRE(::fstat(STDERR_FILENO, &standard_error) == 0);
  CHECK(target.st_ino == standard_error.st_ino);
  if (log::descriptor() != former) CHECK(::fcntl(former, F_GETFD) == -1);
}

TEST_CASE("check: a failed assertion is logged with its place, and aborts") {
  const LogFile file;
  const int status = status_of([] {
    NARWHAL_CHECK(1 + 1 == 3);
    return 0;
  });
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGABRT);
  const auto lines = file.lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("[CRITICAL] Assertion failed: 1 + 1 == 3 (") != std::string::npos);
  CHECK(lines[0].find("core_log_test.cpp:") != std::string::npos);
}
