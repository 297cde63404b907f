#include <doctest/doctest.h>
#include <narwhal/router.hpp>

#include <string>

#include "tests/support/fake_host.hpp"

using namespace narwhal;

namespace {

// An app that answers its name and the parameters it got.
App named(std::string name, std::vector<std::string> parameters = {}) {
  return [=](const Request& request) {
    std::string text = name;
    for (const std::string& parameter : parameters) text.append(" ").append(request.parameter(parameter));
    return Response::text(text);
  };
}

std::string get(const Router& router, std::string target) { return ask(router, {.target = std::move(target)}).body; }

}  // namespace

TEST_CASE("router: the path picks the app, and what matches nothing is 404") {
  const Router router = Router().get("/", named("root")).get("/a", named("a")).get("/a/b", named("ab"));
  CHECK(get(router, "/") == "root");
  CHECK(get(router, "/a?x=/b") == "a");
  CHECK(get(router, "/a/b") == "ab");
  for (const char* nothing : {"/b", "/A", "/a/b/c", "//", "//a", "/a//b", "/a/", "/a/b/", "*", "/a%2Fb"}) {
    CAPTURE(nothing);
    CHECK(ask(router, {.target = nothing}).status == 404);
  }
}

TEST_CASE("router: below a mount prefix, patterns start after it") {
  const Router router = Router().get("/", named("root")).get("/a", named("a"));
  CHECK(ask(router, {.target = "/shop", .prefix = "/shop"}).body == "root");
  CHECK(ask(router, {.target = "/shop/", .prefix = "/shop"}).body == "root");
  CHECK(ask(router, {.target = "/shop/a", .prefix = "/shop"}).body == "a");
}

TEST_CASE("router: int takes digits that fit, string one segment, path the rest") {
  const Router router = Router()
                            .get("/i/<int:id>", named("int", {"id"}))
                            .get("/s/<string:name>/x", named("string", {"name"}))
                            .get("/t/<name>", named("bare", {"name"}))
                            .get("/p/<path:rest>", named("path", {"rest"}));
  CHECK(get(router, "/i/42") == "int 42");
  CHECK(get(router, "/i/9223372036854775807") == "int 9223372036854775807");
  CHECK(get(router, "/i/%34%32") == "int 42");
  for (const char* nothing : {"/i/", "/i/x", "/i/-1", "/i/+1", "/i/1x", "/i/9223372036854775808", "/i/%20", "/p/",
                              "/p//a", "/s//x", "/s/a/b/x"}) {
    CAPTURE(nothing);
    CHECK(ask(router, {.target = nothing}).status == 404);
  }
  CHECK(get(router, "/s/some%20one/x") == "string some one");
  CHECK(get(router, "/t/a%2Fb") == "bare a/b");
  CHECK(get(router, "/p/a/b/c.txt") == "path a/b/c.txt");
  CHECK(get(router, "/p/a%20b/c/") == "path a b/c/");
  CHECK(get(router, "/p/a/") == "path a/");
}

TEST_CASE("router: an int parameter comes as a number of the wanted type") {
  const Router router = Router().get("/<int:id>", [](const Request& request) {
    return Response::text(std::to_string(request.parameter<int>("id") + 1));
  });
  CHECK(get(router, "/41") == "42");
  CHECK(ask(router, {.target = "/5000000000"}).status == 404);  // fits the pattern, not the int asked for
}

TEST_CASE("router: the more exact pattern wins, whatever the order") {
  const Router router = Router()
                            .get("/<path:rest>", named("path"))
                            .get("/u/<name>", named("string"))
                            .get("/u/<int:id>", named("int"))
                            .get("/u/me", named("me"))
                            .get("/u/<other>", named("never"));
  CHECK(get(router, "/u/me") == "me");
  CHECK(get(router, "/u/7") == "int");
  CHECK(get(router, "/u/you") == "string");
  CHECK(get(router, "/u/you/too") == "path");
}

TEST_CASE("router: strict slashes send /a to /a/ and do not serve /b/ for /b") {
  const Router router = Router().get("/a/", named("a")).get("/b", named("b")).get("/<x>/y/", named("y"));
  const Answer answer = ask(router, {.target = "/a?q=1"});
  CHECK(answer.status == 308);
  CHECK(answer.header("Location") == "/a/?q=1");
  CHECK(get(router, "/a/") == "a");
  CHECK(get(router, "/b") == "b");
  CHECK(ask(router, {.target = "/b/"}).status == 404);
  CHECK(ask(router, {.method = "HEAD", .target = "/a"}).status == 308);
  CHECK(ask(router, {.method = "POST", .target = "/a"}).status == 405);
  CHECK(ask(router, {.target = "/shop/a", .prefix = "/shop"}).header("Location") == "/shop/a/");
  CHECK(ask(router, {.target = "/a%20b/y"}).header("Location") == "/a%20b/y/");
}

TEST_CASE("router: a redirect never leads to another server") {
  const Router router = Router().get("/<x>/", named("x")).get("/<path:rest>/", named("rest"));
  CHECK(ask(router, {.target = "/\\evil.example"}).header("Location") == "/%5Cevil.example/");
  CHECK(ask(router, {.target = "//evil.example"}).status == 404);
  CHECK(ask(router, {.target = "//evil.example/x"}).status == 404);
}

TEST_CASE("router: both patterns of a pair that differs by its slash are served") {
  const Router router = Router().get("/a/", named("slash")).get("/a", named("bare"));
  CHECK(get(router, "/a") == "bare");
  CHECK(get(router, "/a/") == "slash");
}

TEST_CASE("router: without strict slashes either path is served") {
  const Router router = Router().strict_slashes(false).get("/a/", named("a")).get("/b", named("b"));
  for (const char* target : {"/a", "/a/"}) CHECK(get(router, target) == "a");
  for (const char* target : {"/b", "/b/"}) CHECK(get(router, target) == "b");
}

TEST_CASE("router: one route may be tolerant of slashes, or strict, whatever the others are") {
  using Slashes = Router::Slashes;
  Router router;
  router.get("/a/", named("a")).slashes(Slashes::tolerant).get("/b", named("b")).slashes(Slashes::tolerant);
  router.get("/c/", named("c")).get("/d", named("d"));
  for (const char* target : {"/a", "/a/"}) CHECK(get(router, target) == "a");
  for (const char* target : {"/b", "/b/"}) CHECK(get(router, target) == "b");
  CHECK(ask(router, {.target = "/c"}).header("Location") == "/c/");
  CHECK(ask(router, {.target = "/d/"}).status == 404);
  router.strict_slashes(false).get("/e/", named("e")).slashes(Slashes::strict);
  router.get("/f", named("f")).slashes(Slashes::strict);
  for (const char* target : {"/c", "/c/"}) CHECK(get(router, target) == "c");
  CHECK(ask(router, {.target = "/e?x"}).header("Location") == "/e/?x");
  CHECK(ask(router, {.target = "/f/"}).status == 404);
  for (const char* target : {"/a", "/a/"}) CHECK(get(router, target) == "a");
}

TEST_CASE("router: slashes() without a route before it is an error of the app") {
  CHECK_THROWS_AS(Router().slashes(Router::Slashes::tolerant), std::logic_error);
  CHECK_THROWS_AS(Router().mount("/a", named("a")).slashes(Router::Slashes::tolerant), std::logic_error);
}

TEST_CASE("router: the method filters, with 405 and Allow; HEAD is served by GET; OPTIONS answers itself") {
  const Router router = Router().get("/x", named("get")).post("/x", named("post")).any("/any", named("any"));
  CHECK(ask(router, {.method = "POST", .target = "/x"}).body == "post");
  CHECK(ask(router, {.method = "HEAD", .target = "/x"}).header("Content-Length") == "3");  // as for GET
  const Answer refused = ask(router, {.method = "PUT", .target = "/x"});
  CHECK(refused.status == 405);
  CHECK(refused.header("Allow") == "GET, HEAD, OPTIONS, POST");
  const Answer options = ask(router, {.method = "OPTIONS", .target = "/x"});
  CHECK(options.status == 200);
  CHECK(options.header("Allow") == "GET, HEAD, OPTIONS, POST");
  CHECK(options.body.empty());
  CHECK(ask(router, {.method = "BREW", .target = "/any"}).body == "any");
  CHECK(ask(router, {.method = "OPTIONS", .target = "/any"}).body == "any");
  CHECK(ask(router, {.method = "OPTIONS", .target = "/none"}).status == 404);
}

TEST_CASE("router: a HEAD route comes before GET's") {
  const Router router = Router().get("/x", named("get")).add({"HEAD"}, "/x", named("head"));
  CHECK(ask(router, {.method = "HEAD", .target = "/x"}).header("Content-Length") == "4");
}

TEST_CASE("router: a less exact pattern may serve a method that a more exact one does not") {
  const Router router = Router().get("/u/me", named("me")).post("/u/<name>", named("post"));
  CHECK(ask(router, {.method = "POST", .target = "/u/me"}).body == "post");
  CHECK(ask(router, {.method = "PUT", .target = "/u/me"}).header("Allow") == "GET, HEAD, OPTIONS, POST");
}

TEST_CASE("router: what matches nothing may be answered by an app of the plugin's") {
  const Router router = Router().otherwise(
      [](const Request& request) { return Response::text("no " + std::string(request.path()), 404); });
  CHECK(get(router, "/x") == "no /x");
}

TEST_CASE("router: a pattern that cannot be read is refused at set-up") {
  for (const char* bad : {"", "a", "//", "/a//b", "/<float:x>", "/<int:>", "/<>", "/x<int:y>", "/<int:y>x", "/a>",
                          "/<path:a>/b", "/<int:a", "/<a:b:c>"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(Router().get(bad, named("x")), std::invalid_argument);
  }
}

TEST_CASE("router: a stream may read the parameters after the router has returned") {
  const Router router = Router().get("/<name>/<path:rest>", [](const Request& request) {
    return Response::stream([&request](Writer& writer) {
      writer.write(request.parameter("name"));
      writer.write(request.parameter("rest"));
    });
  });
  CHECK(get(router, "/a%2F/b%20c/d") == "a/b c/d");
}
