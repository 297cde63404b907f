// What a new master has from the one that started it, and the messages between the two.
#include "server/inheritance.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "core/records.hpp"

using namespace narwhal;
using namespace narwhal::server;

namespace {

bool takes_nothing(const std::string& value) {
  ::setenv(inheritance_variable, value.c_str(), 1);
  const bool exists = Inheritance::take().exists();
  return !exists && ::getenv(inheritance_variable) == nullptr;
}

}  // namespace

TEST_CASE("inheritance: the channel and the sender's pid are taken, and the variable is gone") {
  auto pair = or_throw(open_pair());
  UpgradeChannel old(std::move(pair.master));
  const int handed = pair.child.release();
  REQUIRE(::fcntl(handed, F_SETFD, 0) == 0);
  ::setenv(inheritance_variable, inheritance_value(::getpid(), 77, handed, "").c_str(), 1);
  {
    Inheritance taken = Inheritance::take();
    CHECK(::getenv(inheritance_variable) == nullptr);
    CHECK(taken.exists());
    CHECK(taken.from() == 77);
    CHECK((::fcntl(handed, F_GETFD) & FD_CLOEXEC) != 0);
    taken.failed("no such user");
    CHECK(old.receive() == "failed no such user");
    CHECK(old.receive() == std::nullopt);
    CHECK(old.is_open());
    old.send("main");
    CHECK(taken.channel().receive() == "main");
  }
  CHECK(old.receive() == std::nullopt);
  CHECK_FALSE(old.is_open());
}

TEST_CASE("inheritance: without a variable, or with one for another process, there is none") {
  ::unsetenv(inheritance_variable);
  CHECK_FALSE(Inheritance::take().exists());
  const Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (const std::string& value :
       {std::string(), std::string("1"), std::string("x y z"), inheritance_value(1, 77, file.get(), ""),
        inheritance_value(::getpid(), 77, 987, ""), inheritance_value(::getpid(), 0, file.get(), ""),
        inheritance_value(::getpid(), 77, 1, ""), "2" + inheritance_value(::getpid(), 77, file.get(), "").substr(1)}) {
    CAPTURE(value);
    CHECK(takes_nothing(value));
  }
  CHECK(::fcntl(file.get(), F_GETFD) >= 0);
}

TEST_CASE("upgrade channel: a long reason is cut, and a closed end is no error for the sender") {
  auto pair = or_throw(open_pair());
  const UpgradeChannel sender(std::move(pair.child));
  UpgradeChannel receiver(std::move(pair.master));
  sender.send("failed " + std::string(100'000, 'x'));
  const auto message = receiver.receive();
  REQUIRE(message);
  CHECK(message->size() == 2000);
  receiver.close();
  sender.send("ready");
  UpgradeChannel().send("to nobody");
}
