#include "core/records.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "core/child.hpp"

using namespace narwhal;

namespace {

Pair pair() { return or_throw(open_pair()); }
std::string text_of(const Received& received) { return received.record.text; }

}  // namespace

TEST_CASE("seat: a record arrives whole, with the sender's pid as the kernel reports it") {
  Pair ends = pair();
  CHECK(receive_record(ends.master.get()).status == Received::Status::nothing_yet);
  REQUIRE(send_record(ends.child.get(), make_record(Report::step, 3, 7, "load ./app.so", 5)));
  const Received received = receive_record(ends.master.get());
  REQUIRE(received.status == Received::Status::record);
  CHECK(received.record.kind == static_cast<std::uint32_t>(Report::step));
  CHECK(received.record.slot == 3);
  CHECK(received.record.generation == 7);
  CHECK(received.record.code == 5);
  CHECK(text_of(received) == "load ./app.so");
  CHECK(received.pid == ::getpid());
  CHECK(receive_record(ends.master.get()).status == Received::Status::nothing_yet);
}

TEST_CASE("seat: the pid is the writer's, not that of the process that made the pair") {
  Pair ends = pair();
  const int socket = ends.child.get();
  Child child =
      or_throw(fork_child([socket] { return send_record(socket, make_record(Report::hello, 0, 1)) ? 0 : 1; }));
  int status = -1;
  REQUIRE(::waitpid(child.pid(), &status, 0) == child.pid());
  const pid_t pid = child.pid();
  child.reaped();
  CHECK(status == 0);
  CHECK(receive_record(ends.master.get()).pid == pid);
}

TEST_CASE("seat: an order carries a descriptor, close-on-exec") {
  Pair ends = pair();
  int pipe_ends[2];
  REQUIRE(::pipe(pipe_ends) == 0);
  const Fd read_end(pipe_ends[0]);
  Fd write_end(pipe_ends[1]);
  REQUIRE(send_record(ends.master.get(), make_record(Order::spawn, 1, 2), write_end.get()));
  write_end = Fd();
  const Received received = receive_record(ends.child.get());
  REQUIRE(received.status == Received::Status::record);
  REQUIRE(received.fd);
  CHECK((::fcntl(received.fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(::write(received.fd.get(), "x", 1) == 1);
  char byte = 0;
  CHECK(::read(read_end.get(), &byte, 1) == 1);
}

TEST_CASE("seat: a text that is too long is cut and still terminated") {
  const Record record = make_record(Report::failed, 0, 0, std::string(2000, 'x'));
  CHECK(std::strlen(record.text) == sizeof record.text - 1);
}

TEST_CASE("seat: invalid records are skipped and do not hide the ones after them") {
  Pair ends = pair();
  const std::string too_long(sizeof(Record) + 40, 'y');
  REQUIRE(::send(ends.child.get(), "short", 5, 0) == 5);
  REQUIRE(::send(ends.child.get(), "", 0, 0) == 0);
  REQUIRE(::send(ends.child.get(), too_long.data(), too_long.size(), 0) > 0);
  REQUIRE(send_record(ends.child.get(), make_record(Report::ready, 9, 1)));
  const Received received = receive_record(ends.master.get());
  REQUIRE(received.status == Received::Status::record);
  CHECK(received.record.slot == 9);
}

TEST_CASE("seat: a text without a terminator gets one") {
  Pair ends = pair();
  Record record = make_record(Report::step, 0, 0);
  std::memset(record.text, 'z', sizeof record.text);
  REQUIRE(send_record(ends.child.get(), record));
  CHECK(text_of(receive_record(ends.master.get())).size() == sizeof record.text - 1);
}

TEST_CASE("seat: a flood of invalid records ends the call, but loses no records") {
  Pair ends = pair();
  for (int i = 0; i < 40; ++i) REQUIRE(::send(ends.child.get(), "odd", 3, 0) == 3);
  REQUIRE(send_record(ends.child.get(), make_record(Report::ready, 0, 0)));
  CHECK(receive_record(ends.master.get()).status == Received::Status::nothing_yet);
  CHECK(receive_record(ends.master.get()).status == Received::Status::record);
}

TEST_CASE("seat: the other end's death is noticed after its last records, even if it did not read ours") {
  Pair ends = pair();
  REQUIRE(send_record(ends.master.get(), make_record(Order::drain, 0, 0)));  // never read
  REQUIRE(send_record(ends.child.get(), make_record(Report::failed, 0, 0, "init of ./app.so failed", 3)));
  ends.child = Fd();
  const Received last = receive_record(ends.master.get());
  REQUIRE(last.status == Received::Status::record);
  CHECK(text_of(last) == "init of ./app.so failed");
  CHECK(receive_record(ends.master.get()).status == Received::Status::gone);
}

TEST_CASE("seat: writing to a child that is dead or does not read is an error, not a signal and not a wait") {
  Pair ends = pair();
  SUBCASE("dead") {
    ends.child = Fd();
    CHECK_FALSE(send_record(ends.master.get(), make_record(Order::quit, 0, 0)));
  }
  SUBCASE("does not read") {
    int sent = 0;
    while (sent < 100000 && send_record(ends.master.get(), make_record(Order::quit, 0, 0))) ++sent;
    CHECK(sent > 0);
    CHECK(sent < 100000);
  }
}

TEST_CASE("seat: unexpected descriptors from a child are closed, and none is leaked") {
  Pair ends = pair();
  const int before = ::dup(0);
  ::close(before);
  const Fd extra(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (int i = 0; i < 10; ++i) {
    REQUIRE(send_record(ends.child.get(), make_record(Report::step, 0, 0), extra.get()));
    CHECK(receive_record(ends.master.get()).fd);
  }
  const Fd after(::dup(0));
  CHECK(after.get() == before + 1);  // only `extra` is still open
}
