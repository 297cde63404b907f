// What a router does beside choosing by path and method: names, mounts, error pages, bodies.
#include <doctest/doctest.h>
#include <narwhal/router.hpp>
#include <narwhal/url.hpp>

#include <memory>
#include <string>

#include "tests/support/fake_host.hpp"

using namespace narwhal;

namespace {

App text(std::string body) {
  return [=](const Request&) { return Response::text(body); };
}
// Answers the path that url_for() gives for a name.
App linking(std::string name) {
  return [=](const Request& request) { return Response::text(url_for(request, name)); };
}
App seeing() {
  return [](const Request& request) {
    return Response::text(std::string(request.prefix()) + "|" + std::string(request.path()));
  };
}

std::string get(const Router& router, std::string target, std::string prefix = "") {
  return ask(router, {.target = std::move(target), .prefix = std::move(prefix)}).body;
}

}  // namespace

TEST_CASE("url_for: a pattern with its parameters, encoded, the others as a query") {
  const Router router = Router()
                            .get("/", text("root"))
                            .name("root")
                            .get("/users/<int:id>/", text("user"))
                            .name("user")
                            .get("/t/<tag>", text("tag"))
                            .name("tag")
                            .get("/f/<path:rest>", text("file"))
                            .name("file");
  CHECK(url_for(router, "root") == "/");
  CHECK(url_for(router, "user", {{"id", 42}}) == "/users/42/");
  CHECK(url_for(router, "user", {{"id", 42u}, {"q", "a b&c"}, {"r", std::string("/")}}) ==
        "/users/42/?q=a%20b%26c&r=%2F");
  CHECK(url_for(router, "tag", {{"tag", "a/b c%"}}) == "/t/a%2Fb%20c%25");
  CHECK(url_for(router, "file", {{"rest", "a b/c.txt"}}) == "/f/a%20b/c.txt");
}

TEST_CASE("url_for: what cannot be meant is an error of the app") {
  Router router;
  router.get("/u/<int:id>", text("u"))
      .name("u")
      .get("/f/<path:rest>", text("f"))
      .name("f")
      .get("/t/<x>", text("t"))
      .name("t");
  CHECK_THROWS_WITH_AS(url_for(router, "none"), "no route is named 'none'", std::invalid_argument);
  CHECK_THROWS_WITH_AS(url_for(router, "u"), "route 'u' needs the parameter 'id'", std::invalid_argument);
  CHECK_THROWS_AS(url_for(router, "u", {{"id", "x"}}), std::invalid_argument);
  CHECK_THROWS_AS(url_for(router, "u", {{"id", -1}}), std::invalid_argument);
  CHECK_THROWS_AS(url_for(router, "f", {{"rest", "/etc"}}), std::invalid_argument);
  CHECK_THROWS_AS(url_for(router, "t", {{"x", ""}}), std::invalid_argument);
  CHECK_THROWS_AS(url_for(router, "t", {{"x", ".."}}), std::invalid_argument);
  CHECK_THROWS_AS(router.get("/other", text("x")).name("u"), std::invalid_argument);
  CHECK_THROWS_AS(Router().name("x"), std::logic_error);
  CHECK_THROWS_AS(Router().mount("/a", text("x")).name("x"), std::logic_error);
}

TEST_CASE("url_for: what it gives leads to the route, whatever the parameters and the prefix") {
  Router router;
  router.get("/t/<tag>/x", [](const Request& request) {
    return Response::text(std::string(request.parameter("tag")) + " " +
                          url_for(request, "tag", {{"tag", request.parameter("tag")}}));
  });
  router.name("tag");
  for (const char* tag : {"plain", "a b", "a/b", "%2F", "?", "#;x", "\xc3\xa9", "a+b"}) {
    CAPTURE(tag);
    const std::string path = url_for(router, "tag", {{"tag", tag}});
    CHECK(get(router, path) == std::string(tag) + " " + path);
    CHECK(get(router, "/my%20shop" + path, "/my shop") == std::string(tag) + " /my%20shop" + path);
  }
}

TEST_CASE("redirect_to: leads below the prefix, and never to another server") {
  const auto leading = [](std::string path) {
    return [=](const Request& request) { return redirect_to(request, path, 303); };
  };
  const Answer answer = ask(leading("/x?y=1"), {.target = "/my%20shop/", .prefix = "/my shop"});
  CHECK(answer.status == 303);
  CHECK(answer.header("Location") == "/my%20shop/x?y=1");
  CHECK(ask(leading("/"), {}).header("Location") == "/");
  for (const char* bad : {"", "x", "//evil", "/\\evil", "http://evil/"}) CHECK(ask(leading(bad), {}).status == 500);
}

TEST_CASE("mount: another app gets everything below, with a longer prefix") {
  const Router router = Router().mount("/admin", seeing()).get("/", text("root")).get("/admin/own", text("own"));
  CHECK(get(router, "/") == "root");
  CHECK(get(router, "/admin") == "/admin|/");
  CHECK(get(router, "/admin/") == "/admin|/");
  CHECK(get(router, "/admin/a/b") == "/admin|/a/b");
  CHECK(get(router, "/admin//x") == "/admin|//x");
  CHECK(get(router, "/admin/own") == "own");
  CHECK(get(router, "/shop/admin/a", "/shop") == "/shop/admin|/a");
  CHECK(get(router, "/%61dmin/a%2Fb") == "/admin|/a%2Fb");
  CHECK(ask(router, {.target = "/administrator"}).status == 404);
  CHECK(ask(router, {.method = "BREW", .target = "/admin/x"}).status == 200);
}

TEST_CASE("mount: a HEAD goes to the route that serves GET, not past it to the mount") {
  const Router router = Router().mount("/a", text("mount")).get("/a/x", text("route"));
  CHECK(ask(router, {.method = "HEAD", .target = "/a/x"}).header("Content-Length") == "5");
  CHECK(ask(router, {.method = "PUT", .target = "/a/x"}).body == "mount");
}

TEST_CASE("mount: parameters of the prefix and of the routes below are all there") {
  const Router inner = Router().get("/<int:id>", [](const Request& request) {
    return Response::text(std::string(request.parameter("shop")) + " " + std::string(request.parameter("id")) + " " +
                          std::string(request.prefix()));
  });
  const Router router = Router().mount("/s/<shop>", inner);
  CHECK(get(router, "/s/big%20one/7") == "big one 7 /s/big one");
  CHECK(ask(router, {.target = "/s/x/y"}).status == 404);
  CHECK_THROWS_AS(Router().mount("/<path:x>", text("x")), std::invalid_argument);
}

TEST_CASE("mount: names are found from inside and outside, the nearest first") {
  Router inner;
  inner.get("/", linking("home")).name("home").get("/out", linking("top")).get("/b", linking("admin.home"));
  Router router;
  router.get("/top", text("top")).name("top").mount("/admin", inner, "admin").get("/x", linking("admin.home"));
  CHECK(get(router, "/admin/") == "/admin/");
  CHECK(get(router, "/admin/out") == "/top");
  CHECK(get(router, "/admin/b") == "/admin/");
  CHECK(get(router, "/x") == "/admin/");
  CHECK(get(router, "/shop/admin/out", "/shop") == "/shop/top");
  CHECK(url_for(router, "admin.home") == "/admin/");
}

TEST_CASE("error pages: the router's own 404 and 405, and what a route throws") {
  Router router;
  router.get("/a", text("a"))
      .get("/<int:id>",
           [](const Request& request) { return Response::text(std::to_string(request.parameter<int>("id"))); })
      .get("/teapot", [](const Request&) -> Response { throw HttpError(418, "short").header("X-Tea", "y"); })
      .error_page(404, [](const Request& request) { return Response::html("no " + std::string(request.path())); })
      .error_page(405, text("not so"))
      .error_page(418, [](const Request&) { return Response::html("tea").status(200).header("X-Tea", "n"); });
  const Answer none = ask(router, {.target = "/none"});
  CHECK(none.status == 404);
  CHECK(none.body == "no /none");
  CHECK(get(router, "/99999999999") == "no /99999999999");
  const Answer method = ask(router, {.method = "PUT", .target = "/a"});
  CHECK(method.status == 405);
  CHECK(method.body == "not so");
  CHECK(method.header("Allow") == "GET, HEAD, OPTIONS");
  const Answer tea = ask(router, {.target = "/teapot"});
  CHECK(tea.status == 418);
  CHECK(tea.header("X-Tea") == "n");
}

TEST_CASE("error pages: a handler gets every other error; a page may choose its own status") {
  Router router;
  router.get("/a", [](const Request&) -> Response { throw HttpError(409, "taken"); })
      .error_page(403, [](const Request&) { return Response::redirect("/login"); })
      .get("/c", [](const Request&) -> Response { throw HttpError(403); })
      .on_error([](const Request& request, const HttpError& error) {
        return Response::json("{\"error\": \"" + std::string(error.text()) + "\", \"at\": \"" +
                              std::string(request.path()) + "\"}");
      });
  const Answer taken = ask(router, {.target = "/a"});
  CHECK(taken.status == 409);
  CHECK(taken.body == R"({"error": "taken", "at": "/a"})");
  CHECK(ask(router, {.target = "/none"}).body == R"({"error": "Not Found", "at": "/none"})");
  CHECK(ask(router, {.target = "/c"}).status == 302);
}

TEST_CASE("error pages: a page and the app for what matches nothing may link to routes by their names") {
  Router router;
  router.get("/home", text("home")).name("home").error_page(404, linking("home"));
  CHECK(get(router, "/none") == "/home");
  router.otherwise(linking("home"));
  CHECK(get(router, "/none") == "/home");
}

TEST_CASE("error pages: a page that fails is logged, and the plain answer is sent") {
  fake::log_lines.clear();
  const Router router =
      Router().error_page(404, [](const Request&) -> Response { throw std::runtime_error("no template"); });
  const Answer answer = ask(router, {.target = "/x"});
  CHECK(answer.status == 404);
  CHECK(answer.body == "Not Found\n");
  CHECK(fake::log_lines == std::vector<std::string>{"GET /x: an error page failed: no template"});
}

TEST_CASE("error pages: one for 500 also answers other exceptions, which are logged with the request") {
  fake::log_lines.clear();
  Router router;
  router.get("/a", [](const Request&) -> Response { throw std::runtime_error("no database"); });
  CHECK(ask(router, {.target = "/a"}).reason == "no database");
  router.error_page(500, text("sorry"));
  const Answer answer = ask(router, {.target = "/a?secret"});
  CHECK(answer.status == 500);
  CHECK(answer.body == "sorry");
  CHECK(fake::log_lines == std::vector<std::string>{"GET /a: no database"});
}

TEST_CASE("error pages: a mounted router uses its own, else those around it, also through middleware") {
  Router inner;
  inner.get("/x", text("x")).error_page(405, text("inner 405"));
  const Middleware passing = [](App app) -> App { return [app](const Request& request) { return app(request); }; };
  for (const App& app : {App(inner), wrap(inner, passing)}) {
    const Router router =
        Router().mount("/in", app).error_page(404, text("outer 404")).error_page(405, text("outer 405"));
    CHECK(get(router, "/in/none") == "outer 404");
    CHECK(ask(router, {.method = "PUT", .target = "/in/x"}).body == "inner 405");
  }
}

TEST_CASE("router: handlers may be move-only") {
  Router router;
  router.get("/", [kept = std::make_unique<std::string>("kept")](const Request&) { return Response::text(*kept); });
  CHECK(get(router, "/") == "kept");
}

TEST_CASE("router: each of a thousand routes of every kind answers its own paths") {
  Router router;
  for (int i = 0; i < 1000; ++i) {
    const std::string number = std::to_string(i);
    router.get("/a" + number, text("a" + number));
    router.get("/x/b" + number + "/<int:id>", text("b" + number));
  }
  for (int i = 0; i < 1000; i += 37) {
    const std::string number = std::to_string(i);
    CHECK(get(router, "/a" + number) == "a" + number);
    CHECK(get(router, "/x/b" + number + "/7") == "b" + number);
    CHECK(ask(router, {.target = "/x/b" + number + "/y"}).status == 404);
  }
  CHECK(ask(router, {.target = "/a1000"}).status == 404);
}

TEST_CASE("router: a path of many segments needs no fixed room") {
  const Router router =
      Router().get("/<path:rest>", [](const Request& request) { return Response::text(request.parameter("rest")); });
  std::string path;
  for (int i = 0; i < 100; ++i) path += "/s" + std::to_string(i);
  CHECK(get(router, path) == path.substr(1));
  CHECK(get(router, path + "%20/") == path.substr(1) + " /");
}

TEST_CASE("bodies: only the routes that asked for the stream get it; the others' are collected, within a limit") {
  const auto read_all = [](const Request& request) {
    std::string body;
    char piece[7];
    while (const std::size_t size = request.read(piece)) body.append(piece, size);
    return Response::text(body);
  };
  const auto whole = [](const Request& request) {
    CHECK(request.body_size() == request.body().size());
    return Response::text(request.body());
  };
  const Router inner = Router().post("/whole", whole).post("/stream", read_all).stream_body();
  Router router;
  router.post("/whole", whole).post("/read", read_all).post("/stream", [&](const Request& request) {
    CHECK_FALSE(request.body_size().has_value());
    CHECK_THROWS_AS(request.body(), std::logic_error);
    return read_all(request);
  });
  router.stream_body()
      .body_max(100'000)
      .otherwise(whole)
      .mount("/in", inner)
      .mount("/other", Router().post("/whole", whole));
  CHECK(router.streams_bodies());
  CHECK(App(router).streams_bodies());
  CHECK_FALSE(Router().post("/whole", whole).streams_bodies());
  const std::string body(50'001, 'x');
  for (const std::size_t read_max : {std::size_t{1000}, std::size_t{1} << 20}) {
    for (const char* target : {"/whole", "/read", "/stream", "/in/whole", "/in/stream", "/other/whole", "/none"}) {
      CAPTURE(target);
      const Ask streamed{.method = "POST", .target = target, .body = body, .streamed = true, .read_max = read_max};
      CHECK(ask(router, streamed).body == body);
    }
  }
  const Ask large{.method = "POST", .target = "/whole", .body = std::string(100'001, 'x'), .streamed = true};
  CHECK(ask(router, large).status == 413);
  Router paged;
  paged.mount("/in", Router().post("/x", whole).error_page(413, text("inner page")))
      .post("/stream", read_all)
      .stream_body();
  paged.body_max(10);
  CHECK(ask(paged, {.method = "POST", .target = "/in/x", .body = "0123456789", .streamed = true}).body == "0123456789");
  CHECK(ask(paged, {.method = "POST", .target = "/in/x", .body = "0123456789x", .streamed = true}).body ==
        "inner page");
  CHECK(ask(router, {.method = "POST", .target = "/whole", .body = "whole"}).body == "whole");
}

TEST_CASE("bodies: a route that asks for the stream sets the mount's flag, also through middleware") {
  const auto boot_with = [](App app) {
    fake::boot_flags.reset();
    ask(std::move(app), {});
    return fake::boot_flags;
  };
  const Router streaming = Router().get("/", text("x")).stream_body();
  const Middleware passing = [](App app) -> App { return [app](const Request& request) { return app(request); }; };
  CHECK(boot_with(streaming) == NARWHAL_STREAM_BODY);
  CHECK(boot_with(wrap(streaming, passing)) == NARWHAL_STREAM_BODY);
  CHECK(boot_with(Router().mount("/a", streaming)) == NARWHAL_STREAM_BODY);
  CHECK_FALSE(boot_with(Router().get("/", text("x"))).has_value());
}
