#include "worker/relay.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace narwhal;
using namespace narwhal::worker;

namespace {

// As if this process had no descriptor left.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &former_);
    const Fd lowest(::dup(0));
    rlimit none = former_;
    none.rlim_cur = static_cast<rlim_t>(lowest.get());
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &former_); }

 private:
  rlimit former_{};
};

struct Ends {
  Ends() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    give = Fd(ends[0]);
    take = Fd(ends[1]);
  }
  Fd give, take;
};

}  // namespace

TEST_CASE("relay: a request comes with its socket and its bytes") {
  const Ends ends;
  BufferPool pool;
  const Relay relay(ends.give.get(), ends.take.get());
  CHECK_FALSE(relay.take(pool));
  REQUIRE(relay.give(0, Peer{}, "GET / ", "HTTP/1.1"));
  const auto taken = relay.take(pool);
  REQUIRE(taken);
  CHECK(taken->socket);
  CHECK(taken->bytes->view() == "GET / HTTP/1.1");
  pool.drop(taken->bytes);
}

TEST_CASE("relay: without a descriptor for it, a request is reported as lost") {
  const Ends ends;
  BufferPool pool;
  const Relay relay(ends.give.get(), ends.take.get());
  REQUIRE(relay.give(0, Peer{}, "GET / HTTP/1.1", ""));
  const auto taken = [&] {
    const NoDescriptors now;
    return relay.take(pool);
  }();
  REQUIRE(taken);
  CHECK_FALSE(taken->socket);
  pool.drop(taken->bytes);
  CHECK_FALSE(relay.take(pool));
}
