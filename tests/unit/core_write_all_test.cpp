#include "core/write_all.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "core/fd.hpp"

using namespace narwhal;

TEST_CASE("write_all: more than a pipe holds arrives whole") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  Fd read_end(ends[0]), write_end(ends[1]);
  const std::string sent(1024 * 1024, 'x');
  bool written = false;
  std::thread writer([&] {
    written = write_all(write_end.get(), sent);
    write_end = Fd();
  });
  std::string received;
  char piece[4096];
  for (ssize_t count; (count = ::read(read_end.get(), piece, sizeof piece)) > 0;) {
    received.append(piece, static_cast<std::size_t>(count));
  }
  writer.join();
  CHECK(written);
  CHECK(received == sent);
}

TEST_CASE("write_all: an error is reported, with errno") {
  const Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  CHECK_FALSE(write_all(full.get(), "x"));
  CHECK(errno == ENOSPC);
  CHECK(write_all(full.get(), ""));
}
