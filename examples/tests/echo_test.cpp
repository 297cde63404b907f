// A test of echo.cpp: request bodies, interim responses, trailers, an exception, a response that is cut off.
//   g++ -std=c++20 -o echo_test echo_test.cpp ../echo.cpp -pthread -ldl -lnettle && ./echo_test
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <narwhal/testing.hpp>

#include <string>

using narwhal::testing::Answer;
using narwhal::testing::Worker;

TEST_CASE("echo: describes the request") {
  Worker worker(narwhal_plugin_v1, {.prefix = "/shop"});
  const Answer answer = worker.post("/shop/a?x=1", "some bytes", {{"X-Color", "blue"}});
  CHECK(answer.status == 200);
  CHECK(answer.header("Content-Type") == "application/json");
  for (const char* part : {R"("method": "POST")", R"("path": "/shop/a")", R"("body_len": 10)",
                           R"("body": "some bytes")", R"(["X-Color", "blue"])"}) {
    CAPTURE(part);
    CHECK(answer.body.find(part) != std::string::npos);
  }
}

TEST_CASE("echo: the query asks for a status, a size, fields, pieces, hints and trailers") {
  Worker worker(narwhal_plugin_v1);
  CHECK(worker.get("/?status=404&size=5").status == 404);
  CHECK(worker.get("/?size=5").body == "xxxxx");
  CHECK(worker.get("/?rh=X-A:1&rh=X-A:2").headers.back().second == "2");
  const Answer chunked = worker.get("/?size=300000&chunked=1");
  CHECK(chunked.header("Transfer-Encoding") == "chunked");
  CHECK(chunked.body == std::string(300000, 'x'));
  const Answer rich = worker.get("/?hint=Link:</a.css>&trailer=X-Sum:7", {{"TE", "trailers"}});
  REQUIRE(rich.interim.size() == 1);
  CHECK(rich.interim[0].first == 103);
  CHECK(rich.trailers == narwhal::testing::Fields{{"X-Sum", "7"}});
}

TEST_CASE("echo: an exception is 500 before the head, and a cut after it") {
  Worker worker(narwhal_plugin_v1);
  const Answer early = worker.get("/?exc=early");
  CHECK(early.status == 500);
  CHECK(early.reason == "exc=early");
  CHECK(worker.has_logged("GET /?exc=early: exc=early"));
  const Answer late = worker.get("/?exc=late&size=1000");
  CHECK((late.status == 200 && late.cut));
}

TEST_CASE("echo: what it does wrong on demand is found, and said") {
  Worker worker(narwhal_plugin_v1);
  CHECK(worker.get("/?cl=10&size=4").cut);
  CHECK(worker.get("/?rh=X-A:a%0d%0ab").status == 500);
  const auto breaches = worker.take_breaches();
  REQUIRE(breaches.size() == 2);
  CHECK(breaches[0] ==
        "plugin 'echo' called finish() for GET /?cl=10&size=4: the response is 6 bytes short of its declared length");
  CHECK(breaches[1] ==
        "plugin 'echo' called respond() for GET /?rh=X-A:a%0d%0ab: it may not go on the wire: control "
        "byte in a field's value: 'X-A'");
}

TEST_CASE("echo: a client that leaves in the middle of a long answer ends it") {
  Worker worker(narwhal_plugin_v1, {.response_buffer = 4096});
  narwhal::testing::Client client = worker.begin({.target = "/?size=10000000&chunked=1"});
  client.stop_reading();
  CHECK_FALSE(client.wait_for_return(std::chrono::milliseconds(20)));
  client.leave();
  CHECK(client.answer().code == NARWHAL_GONE);
}
