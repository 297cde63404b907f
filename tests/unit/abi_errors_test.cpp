// What an app throws: what its client gets, and what is in the log.
#include <doctest/doctest.h>

#include <string>

#include "tests/support/fake_host.hpp"

using namespace narwhal;

TEST_CASE("errors: an exception before the head is 500, with the reason for the log only") {
  const Answer answer = ask([](const Request&) -> Response { throw std::runtime_error("no database"); }, {});
  CHECK(answer.code == NARWHAL_ERROR);
  CHECK(answer.status == 500);
  CHECK(answer.reason == "no database");
  CHECK(answer.body == "Internal Server Error\n");
  CHECK(ask([](const Request&) -> Response { throw 1; }, {}).reason == "an exception that is not a std::exception");
}

TEST_CASE("errors: an HttpError is its answer, also when middleware passes it on") {
  const auto refuse = [](const Request&) -> Response {
    throw HttpError(409, "the name is taken").header("X-A", "1").header("X-A", std::string("2"));
  };
  const Middleware passing = [](App inner) -> App {
    return [inner](const Request& request) { return inner(request); };
  };
  fake::log_lines.clear();
  for (const App& app : {App(refuse), wrap(refuse, passing)}) {
    const Answer answer = ask(app, {});
    CHECK(answer.code == NARWHAL_OK);
    CHECK(answer.status == 409);
    CHECK(answer.body == "the name is taken\n");
    CHECK(answer.headers == Pairs{{"Content-Type", "text/plain; charset=utf-8"}, {"X-A", "1"}, {"X-A", "2"}});
  }
  CHECK(fake::log_lines.empty());
  CHECK(ask([](const Request&) -> Response { throw HttpError(404); }, {}).body == "Not Found\n");
  CHECK(ask([](const Request&) -> Response { throw HttpError(200, "x"); }, {}).status == 500);
}

TEST_CASE("errors: an HttpError that the server is to blame for is logged with its request, others if they say so") {
  fake::log_lines.clear();
  CHECK(
      ask([](const Request&) -> Response { throw HttpError(503).because("no database"); }, {.target = "/a?b"}).status ==
      503);
  CHECK(ask([](const Request&) -> Response { throw HttpError(500, "sorry"); }, {.target = "/b"}).body == "sorry\n");
  CHECK(ask([](const Request&) -> Response { throw HttpError(400).because("odd"); }, {.method = "PUT"}).status == 400);
  CHECK(fake::log_lines == std::vector<std::string>{"GET /a: no database", "GET /b: sorry", "PUT /: odd"});
}

TEST_CASE(
    "errors: an HttpError that may not go on the wire is 500; in a stream it is an answer until the first piece") {
  CHECK(ask([](const Request&) -> Response { throw HttpError(400).header("X", "a\nb"); }, {.breaks = true}).status ==
        500);
  const Answer early =
      ask([](const Request&) { return Response::stream([](Writer&) { throw HttpError(410, "no more"); }); }, {});
  CHECK(early.status == 410);
  CHECK(early.body == "no more\n");
  const Answer late = ask(
      [](const Request&) {
        return Response::stream([](Writer& writer) {
          writer.write("piece");
          throw HttpError(410, "no more");
        });
      },
      {});
  CHECK(late.status == 200);
  CHECK(late.cut);
  CHECK(late.reason == "no more");
}

TEST_CASE("log: a line with a request begins with its method and path, which is cut when it is long") {
  fake::log_lines.clear();
  ask(
      [](const Request& request) {
        log_info(request, "seen");
        return Response();
      },
      {.method = "POST", .target = "/shop/x?secret=1"});
  ask(
      [](const Request& request) {
        log_error(request, "seen");
        return Response();
      },
      {.target = "/" + std::string(1000, 'x')});
  REQUIRE(fake::log_lines.size() == 2);
  CHECK(fake::log_lines[0] == "POST /shop/x: seen");
  CHECK(fake::log_lines[1] == "GET /" + std::string(199, 'x') + "...: seen");
}

TEST_CASE("errors: an exception in a stream is 500 before the first piece and a visible cut after it") {
  const Answer before =
      ask([](const Request&) { return Response::stream([](Writer&) { throw std::runtime_error("early"); }); }, {});
  CHECK(before.status == 500);
  CHECK_FALSE(before.cut);
  const Answer after = ask(
      [](const Request&) {
        return Response::stream([](Writer& writer) {
          writer.write("piece");
          throw std::runtime_error("late");
        });
      },
      {});
  CHECK(after.status == 200);
  CHECK(after.cut);
  CHECK_FALSE(after.complete);
  CHECK(after.reason == "late");
}
