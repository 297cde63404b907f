#include "worker/inbox.hpp"

#include <doctest/doctest.h>

#include <string>
#include <thread>

using narwhal::worker::Inbox;
using Result = Inbox::Read::Result;

namespace {

std::string read(Inbox& inbox, std::size_t size) {
  std::string bytes(size, '\0');
  const Inbox::Read got = inbox.read(bytes.data(), size);
  bytes.resize(got.size);
  return bytes;
}

}  // namespace

TEST_CASE("inbox: without a body it has ended") {
  Inbox inbox;
  char byte;
  CHECK(inbox.ended());
  CHECK(inbox.readable());
  CHECK(inbox.read(&byte, 1).result == Result::ended);
}

TEST_CASE("inbox: what was fed is read in order, and then its end") {
  Inbox inbox;
  char byte;
  inbox.expect();
  CHECK_FALSE(inbox.readable());
  CHECK(inbox.read(&byte, 1).result == Result::nothing_yet);
  inbox.feed("hello, ");
  inbox.feed("world");
  inbox.end();
  CHECK(read(inbox, 5) == "hello");
  CHECK(read(inbox, 100) == ", world");
  CHECK(inbox.read(&byte, 1).result == Result::ended);
}

TEST_CASE("inbox: when the client is gone what has come can be read, and the rest is missed") {
  Inbox inbox;
  char byte;
  inbox.expect();
  inbox.feed("half");
  inbox.close();
  CHECK(read(inbox, 100) == "half");
  CHECK(inbox.read(&byte, 1).result == Result::closed);
  CHECK_FALSE(inbox.ended());
}

TEST_CASE("inbox: the read that makes room says that the loop has stopped, once") {
  Inbox inbox;
  char bytes[8];
  inbox.expect();
  inbox.feed("1234");
  CHECK_FALSE(inbox.stop_when_full(5));
  CHECK(inbox.stop_when_full(4));
  CHECK_FALSE(inbox.read(bytes, 2).has_stopped);
  CHECK(inbox.read(bytes, 2).has_stopped);
  inbox.feed("5");
  CHECK_FALSE(inbox.read(bytes, 1).has_stopped);
}

TEST_CASE("inbox: whoever waits goes on with the first byte, the end, or when the client is gone") {
  using Event = void (*)(Inbox&);
  for (const Event event : {Event([](Inbox& inbox) { inbox.feed("x"); }), Event([](Inbox& inbox) { inbox.end(); }),
                            Event([](Inbox& inbox) { inbox.close(); })}) {
    Inbox inbox;
    inbox.expect();
    std::thread reader([&] { inbox.wait(); });
    event(inbox);
    reader.join();
    CHECK(inbox.readable());
  }
}
