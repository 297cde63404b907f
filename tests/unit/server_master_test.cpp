// The master with toy workers: start, life and stop. Reloads are in server_succession_test.cpp.
#include "tests/support/supervised.hpp"

using narwhal::toy::eventually;
using narwhal::toy::Supervised;

TEST_CASE("master: it says what it does in Gunicorn's words, serves, and stops on TERM") {
  Supervised server("workers 2\nanswer hello");
  server.wait_for("Generation 1 is ready (2 workers");
  CHECK(server.get() == "hello");
  CHECK(server.logged("Starting narwhal 0.1.0") == 1);
  CHECK(server.logged("Booting worker with pid: ") == 2);
  server.send(SIGTERM);
  CHECK(server.exit_code() == 0);
  CHECK(server.logged("Handling signal: term") == 1);
  CHECK(server.logged("Shutting down: Master") == 1);
  CHECK(server.logged("[ERROR]") == 0);
}

TEST_CASE("master: INT to the whole group, as a terminal sends it, ends everything cleanly") {
  Supervised server("workers 2");
  server.wait_for("Generation 1 is ready");
  const auto children = server.children();
  REQUIRE(children.size() == 3);
  REQUIRE(::kill(-server.pid(), SIGINT) == 0);
  CHECK(server.exit_code() == 0);
  for (const pid_t child : children) CHECK(::kill(child, 0) != 0);
  CHECK(server.logged("[ERROR]") == 0);
}
