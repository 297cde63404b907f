#include "core/system_calls.hpp"

#include <doctest/doctest.h>
#include <sys/syscall.h>

#include <fstream>

#include "tests/support/folder.hpp"

using namespace narwhal;

TEST_CASE("system calls: a name and a number stand for each other") {
  CHECK(system_call_number("read") == SYS_read);
  CHECK(system_call_name(SYS_read) == "read");
  CHECK(system_call_number("reed") == std::nullopt);
  CHECK(system_call_name(100'000).empty());
  CHECK(system_call_text(SYS_write) == "write");
  CHECK(system_call_text(100'000) == "100000");
}

TEST_CASE("system calls: a list has names, numbers and comments") {
  const auto list = or_throw(parse_system_calls("# a comment\n\n  read  # another\r\nwrite\nread\n100000", "calls"));
  CHECK(list == std::vector<int>{SYS_read, SYS_write, 100'000});
  CHECK(or_throw(parse_system_calls("", "calls")).empty());
}

TEST_CASE("system calls: what is not one is named with its line") {
  const auto list = parse_system_calls("read\nreed\n", "/etc/calls");
  REQUIRE_FALSE(list);
  CHECK(list.error() == "seccomp_file: /etc/calls:2: 'reed' is not a system call that this build knows");
  CHECK_FALSE(parse_system_calls("-1\n", "calls"));
  CHECK_FALSE(parse_system_calls("read write\n", "calls"));
}

TEST_CASE("system calls: a file that does not exist is an empty list for the one who learns it") {
  const Folder folder;
  CHECK(or_throw(read_system_calls(folder.path("calls"), IfMissing::is_empty)).empty());
  CHECK_FALSE(read_system_calls(folder.path("calls"), IfMissing::is_an_error));
  std::ofstream(folder.path("calls")) << "read\n";
  CHECK(or_throw(read_system_calls(folder.path("calls"), IfMissing::is_an_error)) == std::vector<int>{SYS_read});
}
