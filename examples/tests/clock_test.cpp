// A test of clock.cpp: a deferred stream, its end, a client that leaves, a worker that is retired.
//   g++ -std=c++20 -o clock_test clock_test.cpp ../clock.cpp -pthread -ldl && ./clock_test
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <narwhal/testing.hpp>

#include <string>

using narwhal::testing::Answer;
using narwhal::testing::Client;
using narwhal::testing::Worker;

TEST_CASE("clock: sends as many events as the query asks for") {
  Worker worker(narwhal_plugin_v1, {.options = {{"ms", "1"}}});
  const Answer answer = worker.get("/?n=3");
  CHECK(answer.code == NARWHAL_DEFERRED);
  CHECK(answer.header("Content-Type") == "text/event-stream");
  CHECK(answer.complete);
  CHECK(answer.body.starts_with("id: 1\ndata: "));
  CHECK(answer.body.find("id: 3\n") != std::string::npos);
  CHECK(answer.body.find("id: 4\n") == std::string::npos);
}

TEST_CASE("clock: the interval is an option, whose type is checked") {
  CHECK(Worker(narwhal_plugin_v1, {.options = {{"ms", "soon"}}}).boot_error() ==
        "options of clock: ms: 'soon' is not of type int: a whole number");
}

TEST_CASE("clock: a client that leaves is let go, and the others are served") {
  Worker worker(narwhal_plugin_v1, {.options = {{"ms", "1"}}});
  Client leaving = worker.begin({}), staying = worker.begin({});
  CHECK(leaving.wait_for_body(20));
  leaving.leave();
  CHECK(staying.wait_for_body(200));
}

TEST_CASE("clock: when the worker is retired, every stream ends soon") {
  Worker worker(narwhal_plugin_v1);
  Client client = worker.begin({.target = "/?ms=3600000"});
  CHECK(client.wait_for_body(20));
  worker.drain();
  const Answer answer = client.answer();
  CHECK(answer.complete);
  CHECK(answer.body.ends_with("event: bye\ndata: reconnect\n\n"));
}
