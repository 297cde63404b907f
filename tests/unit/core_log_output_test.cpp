#include "core/log_output.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "core/log_limit.hpp"
#include "core/log_writer.hpp"
#include "tests/support/folder.hpp"

using namespace narwhal;
using Kind = LogOutput::Kind;

namespace {

struct Ends {
  Fd reader, writer;
};

Ends make_pipe(int flags = 0) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC | flags) == 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

std::size_t fill(LogOutput output, std::string_view line) {
  std::size_t bytes = 0;
  for (ssize_t written = 0; (written = write_now(output, line)) > 0;) bytes += static_cast<std::size_t>(written);
  CHECK(errno == EAGAIN);
  return bytes;
}

std::string read_all(const Fd& pipe) {
  REQUIRE(::fcntl(pipe.get(), F_SETFL, O_NONBLOCK) == 0);
  std::string all;
  char bytes[4096];
  for (ssize_t size = 0; (size = ::read(pipe.get(), bytes, sizeof bytes)) > 0;)
    all.append(bytes, static_cast<std::size_t>(size));
  return all;
}

}  // namespace

TEST_CASE("log output: each kind of descriptor is known") {
  const Folder folder;
  const Fd file = or_throw(open_log_file(folder.path("file")));
  CHECK(LogOutput::of(file.get()).kind == Kind::file);
  CHECK((::fcntl(file.get(), F_GETFL) & O_NONBLOCK) == 0);
  CHECK(LogOutput::of(make_pipe().writer.get()).kind == Kind::pipe);
  CHECK(LogOutput::of(make_pipe(O_NONBLOCK).writer.get()).kind == Kind::own);
  CHECK(LogOutput::of(or_throw(open_log_file("/dev/full")).get()).kind == Kind::file);
  CHECK(LogOutput::of(-1).fd == -1);
}

TEST_CASE("log output: a pipe's own description does not wait, and the other one still does") {
  const Ends pipe = make_pipe();
  const Fd own = open_own_description(pipe.writer.get());
  REQUIRE(own);
  CHECK((::fcntl(own.get(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(pipe.writer.get(), F_GETFL) & O_NONBLOCK) == 0);
  fill(LogOutput::of(own.get()), "a line\n");
}

TEST_CASE("log output: a pipe that cannot be opened again is written to without waiting, whole lines at a time") {
  const Ends pipe = make_pipe();
  const LogOutput output = LogOutput::of(pipe.writer.get());
  REQUIRE(output.kind == Kind::pipe);
  const std::string line = std::string(99, 'x') + '\n';
  const std::size_t bytes = fill(output, line);
  const std::string all = read_all(pipe.reader);
  CHECK(all.size() == bytes);
  CHECK(bytes >= 10 * line.size());
  CHECK(bytes % line.size() == 0);
}

TEST_CASE("log output: a socket that nobody reads is not waited for") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  const Fd ours(ends[0]), theirs(ends[1]);
  const LogOutput output = LogOutput::of(theirs.get());
  CHECK(output.kind == Kind::socket);
  fill(output, std::string(1000, 'x'));
}

TEST_CASE("log output: a FIFO needs no reader") {
  const Folder folder;
  REQUIRE(::mkfifo(folder.path("fifo").c_str(), 0600) == 0);
  const Fd fifo = or_throw(open_log_file(folder.path("fifo")));
  CHECK(LogOutput::of(fifo.get()).kind == Kind::own);
  CHECK(write_now(LogOutput::of(fifo.get()), "kept\n") == 5);
  const Fd reader(::open(folder.path("fifo").c_str(), O_RDONLY | O_NONBLOCK));
  CHECK(read_all(reader) == "kept\n");
}

TEST_CASE("log output: the journal's stream is known by JOURNAL_STREAM") {
  const Ends pipe = make_pipe();
  struct stat facts {};
  REQUIRE(::fstat(pipe.writer.get(), &facts) == 0);
  const std::string named = std::to_string(facts.st_dev) + ":" + std::to_string(facts.st_ino);
  ::setenv("JOURNAL_STREAM", named.c_str(), 1);
  CHECK(LogOutput::of(pipe.writer.get()).is_journal);
  CHECK_FALSE(LogOutput::of(make_pipe().writer.get()).is_journal);
  ::setenv("JOURNAL_STREAM", "none", 1);
  CHECK_FALSE(LogOutput::of(pipe.writer.get()).is_journal);
  ::unsetenv("JOURNAL_STREAM");
}

TEST_CASE("log writer: lines that are dropped are counted, and reported once the reader takes lines again") {
  const Ends pipe = make_pipe(O_NONBLOCK);
  const LogOutput output = LogOutput::of(pipe.writer.get());
  LogWriter writer;
  CHECK(writer.report_due() == never);
  fill(output, "a line\n");
  const Instant began = now();
  for (int count = 0; count < 100; ++count) CHECK_FALSE(writer.put(output, "dropped\n"));
  CHECK(now() - began < std::chrono::seconds{1});  // it is waited for once
  CHECK(writer.dropped() == 100);
  const LogWriter::Report first = writer.take_report(now());
  CHECK(first.lines == 100);
  CHECK(first.reason == EAGAIN);
  writer.report_failed(first, now());
  CHECK(writer.take_report(now()).lines == 0);  // not so soon
  CHECK(writer.take_report(now() + std::chrono::seconds{2}).lines == 100);
  CHECK(writer.report_due() == never);
  read_all(pipe.reader);
  CHECK(writer.put(output, "taken\n"));
  CHECK(read_all(pipe.reader) == "taken\n");
  CHECK_FALSE(writer.put(LogOutput::of(or_throw(open_log_file("/dev/full")).get()), "no room\n"));
  CHECK(writer.take_report(now() + std::chrono::seconds{20}).reason == ENOSPC);
}

TEST_CASE("log writer: a long line that is cut off does not run into the next") {
  const Ends pipe = make_pipe(O_NONBLOCK);
  const LogOutput output = LogOutput::of(pipe.writer.get());
  LogWriter writer;
  CHECK_FALSE(writer.put(output, std::string(100'000, 'x') + '\n'));
  CHECK(read_all(pipe.reader) == std::string(64 * 1024, 'x'));
  CHECK(writer.put(output, "next\n"));
  CHECK(read_all(pipe.reader) == "\nnext\n");
}

TEST_CASE("log writer: what another process has cut off in a file does not run into a line after a full disk") {
  const Folder folder;
  const Fd file = or_throw(open_log_file(folder.path("log")));
  const LogOutput output = LogOutput::of(file.get());
  CHECK(ends_in_a_cut_line(output) == false);
  REQUIRE(::write(file.get(), "half a li", 9) == 9);
  CHECK(ends_in_a_cut_line(output) == true);
  LogWriter writer;
  CHECK_FALSE(writer.put(LogOutput::of(or_throw(open_log_file("/dev/full")).get()), "dropped\n"));
  CHECK(writer.put(output, "whole\n"));
  CHECK(ends_in_a_cut_line(output) == false);
  struct stat facts {};
  REQUIRE(::fstat(file.get(), &facts) == 0);
  CHECK(facts.st_size == 9 + 1 + 6);
}

TEST_CASE("log limit: the first lines of a second, and then a count of those that were left out") {
  LogLimit limit(2);
  const Instant begin = now();
  CHECK(limit.admits(begin));
  CHECK(limit.admits(begin));
  for (int count = 0; count < 5; ++count) CHECK_FALSE(limit.admits(begin + std::chrono::milliseconds{900}));
  CHECK(limit.admits(begin + std::chrono::milliseconds{1100}));
  CHECK(limit.take_left_out() == 5);
  CHECK(limit.take_left_out() == 0);
}
