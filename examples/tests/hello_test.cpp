// A test of hello.cpp, to begin from. A breach of narwhal/plugin.h fails it.
//   g++ -std=c++20 -o hello_test hello_test.cpp ../hello.cpp -pthread -ldl && ./hello_test
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <narwhal/testing.hpp>

TEST_CASE("hello: every request gets the same answer") {
  narwhal::testing::Worker worker(narwhal_plugin_v1);
  REQUIRE(worker.boot_error() == "");
  const narwhal::testing::Answer answer = worker.get("/any/path?at=all");
  CHECK(answer.status == 200);
  CHECK(answer.header("Content-Type") == "text/plain; charset=utf-8");
  CHECK(answer.header("Content-Length") == "14");
  CHECK(answer.body == "Hello, world!\n");
  CHECK(worker.post("/", "a body").body == "Hello, world!\n");
}

TEST_CASE("hello: HEAD gets the head alone") {
  narwhal::testing::Worker worker(narwhal_plugin_v1);
  const narwhal::testing::Answer answer = worker.send({.method = "HEAD"});
  CHECK(answer.header("Content-Length") == "14");
  CHECK(answer.body.empty());
}
