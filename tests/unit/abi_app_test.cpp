#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <new>
#include <string>

#include "tests/support/fake_host.hpp"
#include "tests/support/folder.hpp"

using namespace narwhal;

// Counts what this thread allocates while a Counting lives.
namespace {
thread_local std::size_t* allocations = nullptr;
struct Counting {
  std::size_t count = 0;
  Counting() { allocations = &count; }
  ~Counting() { allocations = nullptr; }
};
}  // namespace
// Not inlined: if the compiler saw the bodies, it would warn that malloc and free do not match new and delete.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (allocations != nullptr) ++*allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

Response hello(const Request&) { return Response::text("Hello, world!\n"); }

// Records what respond() was given.
int counted_status;
int count_respond(narwhal_exchange*, const narwhal_response* response) {
  counted_status = response->status;
  return NARWHAL_OK;
}

}  // namespace

TEST_CASE("app: a function is an app") {
  const Answer answer = ask(hello, {});
  CHECK(answer.code == NARWHAL_OK);
  CHECK(answer.status == 200);
  CHECK(answer.header("Content-Type") == "text/plain; charset=utf-8");
  CHECK(answer.body == "Hello, world!\n");
}

TEST_CASE("app: a request can give the access log a value of its own") {
  app_under_test = [](const Request& request) {
    request.log_value("USER_ID", "42");
    return Response::text("x");
  };
  Worker worker(plugin_under_test);
  const auto exchange = fake::exchange({});
  REQUIRE(worker.plugin().handle(worker.instance(), exchange.get()) == NARWHAL_OK);
  CHECK(exchange->log_values == Pairs{{"USER_ID", "42"}});
}

TEST_CASE("app: a small static answer costs no allocation and its bytes are not copied") {
  narwhal_host host = fake::host;
  host.respond = count_respond;
  static const std::string_view page = "a page of static text that is longer than a short string";
  const auto app = [](const Request&) { return Response::text(lend(page)).status(201).status(200); };
  app_under_test = app;
  const narwhal_plugin& plugin = plugin_under_test;
  narwhal_boot boot = fake::boot();
  boot.host = &host;
  void* instance = nullptr;
  REQUIRE(plugin.worker_init(&boot, &instance) == NARWHAL_OK);
  const auto exchange = fake::exchange({});
  {
    Counting counting;
    CHECK(plugin.handle(instance, exchange.get()) == NARWHAL_OK);
    CHECK(counting.count == 0);
  }
  CHECK(counted_status == 200);
  plugin.worker_exit(instance);

  Worker worker(plugin_under_test);
  CHECK(worker.plugin().handle(worker.instance(), exchange.get()) == NARWHAL_OK);
  CHECK(exchange->body_at == page.data());
}

TEST_CASE("app: a large owned body is handed over, not copied") {
  const char* made_at = nullptr;
  app_under_test = [&](const Request&) {
    std::string large(100'000, 'x');
    made_at = large.data();
    return Response::bytes(std::move(large));
  };
  Worker worker(plugin_under_test);
  const auto exchange = fake::exchange({});
  CHECK(worker.plugin().handle(worker.instance(), exchange.get()) == NARWHAL_OK);
  CHECK(exchange->body_at == made_at);
  CHECK(exchange->body.size() == 100'000);
}

TEST_CASE("request: what the client sent, as it was sent") {
  const Answer answer = ask(
      [](const Request& request) {
        CHECK(request.method() == "POST");
        CHECK(request.target() == "/shop/a%20b?x=1&y=a+b&x=2");
        CHECK(request.full_path() == "/shop/a%20b");
        CHECK(request.prefix() == "/shop");
        CHECK(request.path() == "/a%20b");
        CHECK(request.query() == "x=1&y=a+b&x=2");
        CHECK(request.query("x") == "1");
        CHECK(request.query("y") == "a b");
        CHECK(request.query("z") == std::nullopt);
        CHECK(request.header("ACCEPT") == "*/*");
        CHECK(request.header("Accept-Language") == std::nullopt);
        CHECK(request.headers().size() == 2);
        CHECK(request.peer() == "192.0.2.1");
        CHECK(request.client() == "203.0.113.9");
        CHECK(request.scheme() == "http");
        CHECK(request.variable("REQUEST_METHOD") == "POST");
        CHECK(request.variable("NONE").empty());
        CHECK(request.body_size() == 4);
        CHECK(request.body() == "data");
        CHECK(request.deadline<std::chrono::steady_clock>()->time_since_epoch() == std::chrono::nanoseconds(5));
        CHECK_FALSE(request.cancelled());
        CHECK_THROWS_AS(request.parameter("id"), std::out_of_range);
        return Response(204);
      },
      {.method = "POST",
       .target = "/shop/a%20b?x=1&y=a+b&x=2",
       .prefix = "/shop",
       .body = "data",
       .headers = {{"Host", "h"}, {"accept", "*/*"}},
       .deadline_ns = 5});
  CHECK(answer.status == 204);
  CHECK(answer.headers.empty());
}

TEST_CASE("request: the client is the peer when the server's struct ends before it") {
  const auto exchange = fake::exchange({});
  exchange->request.struct_size = offsetof(narwhal_request, client);
  CHECK(Request(&fake::host, exchange.get()).client() == "192.0.2.1");
}

TEST_CASE("request: a streamed body is read in pieces, and asking for it whole is an error") {
  const auto read_all = [](const Request& request) {
    std::string body;
    char piece[7];
    while (const std::size_t size = request.read(piece)) body.append(piece, size);
    return Response::text(body);
  };
  for (std::size_t read_max = 1; read_max < 9; ++read_max) {
    CHECK(ask(read_all, {.body = "a streamed body", .streamed = true, .read_max = read_max}).body == "a streamed body");
  }
  const Answer answer = ask([](const Request& request) { return Response::text(request.body()); }, {.streamed = true});
  CHECK(answer.status == 500);
  CHECK(answer.reason == "the body comes as a stream: use read()");
}

TEST_CASE("response: status, headers and types") {
  const Answer answer = ask(
      [](const Request&) {
        Response response = Response::json("{}").status(201).header("X-A", "1").header("X-A", "2");
        response.headers().set("X-B", std::string("b"));
        return response;
      },
      {});
  CHECK(answer.status == 201);
  CHECK(answer.headers == Pairs{{"Content-Type", "application/json"}, {"X-A", "1"}, {"X-A", "2"}, {"X-B", "b"}});

  const Answer typed = ask([](const Request&) { return Response::text("a,b").header("content-type", "text/csv"); }, {});
  CHECK(typed.headers == Pairs{{"content-type", "text/csv"}});

  const Answer moved = ask([](const Request&) { return Response::redirect("/there", 303); }, {});
  CHECK(moved.status == 303);
  CHECK(moved.header("Location") == "/there");

  const Answer many = ask(
      [](const Request&) {
        Response response = Response::html("x");
        for (int i = 0; i < 50; ++i) response.header("X-" + std::to_string(i), "v");
        return response;
      },
      {});
  CHECK(many.headers.size() == 51);
  CHECK(many.headers.back().first == "X-49");
}

TEST_CASE("response: what may not go on the wire becomes 500") {
  for (const bool streamed : {false, true}) {
    const Answer answer = ask(
        [&](const Request&) {
          Response response =
              streamed ? Response::stream([](Writer& writer) { writer.write("x"); }) : Response::text("x");
          return std::move(response).header("X-A", std::string("a\r\nSet-Cookie: b"));
        },
        {.breaks = true});
    CHECK(answer.status == 500);
    CHECK(answer.header("X-A") == "(none)");
    CHECK(answer.breaches.size() == 1);
    CHECK(answer.reason == "the status or a header may not go on the wire");
  }
}

TEST_CASE("response: a file is sent by its descriptor; one that is missing is 404") {
  const Folder folder;
  const std::string path = folder.write("file", "file content");
  const int fd = ::open(path.c_str(), O_RDONLY);
  REQUIRE(fd >= 0);
  const Answer answer = ask([&](const Request&) { return Response::file(path, "text/x"); }, {});
  CHECK(answer.body == "file content");
  CHECK(answer.header("Content-Type") == "text/x");
  CHECK(answer.complete);
  const Answer part = ask([&](const Request&) { return Response::file(FilePart(::dup(fd), 5, 4)); }, {});
  CHECK(part.body == "cont");
  const Answer short_file = ask([&](const Request&) { return Response::file(FilePart(::dup(fd), 5, 400)); }, {});
  CHECK(short_file.cut);
  ::close(fd);
  ::unlink(path.c_str());
  CHECK(ask([&](const Request&) { return Response::file(path); }, {}).status == 404);
  CHECK(ask([&](const Request&) { return Response::file("/tmp"); }, {}).status == 404);
}

TEST_CASE("response: a view may end before the answer is sent") {
  const Answer answer = ask(
      [](const Request&) {
        std::string local(100, 'x');
        Response response = Response::text(std::string_view(local)).header("X-A", std::string_view(local));
        local.assign(100, 'y');
        return response;
      },
      {});
  CHECK(answer.body == std::string(100, 'x'));
  CHECK(answer.header("X-A") == std::string(100, 'x'));
}

TEST_CASE("response: a reason phrase of its own goes to the server") {
  narwhal_host host = fake::host;
  static std::string phrase;
  host.respond = [](narwhal_exchange*, const narwhal_response* response) -> int {
    phrase = fake::text_of(response->reason);
    return NARWHAL_OK;
  };
  const auto exchange = fake::exchange({});
  Response response = Response::text("x").reason("Fine");
  CHECK(detail::respond(&host, exchange.get(), response) == NARWHAL_OK);
  CHECK(phrase == "Fine");
}

TEST_CASE("stream: what is lent is sent, given back once, and need not be known to the server") {
  const std::string large(10'000, 'x');
  const auto stream = [&](const Request&) {
    return Response::stream([&](Writer& writer) {
      writer.write_owned(large);
      writer.write_owned("small");
      writer.write(forever("kept"));
      writer.flush();
    });
  };
  for (const std::size_t table : {sizeof(narwhal_host), offsetof(narwhal_host, flush)}) {
    fake::host.struct_size = table;
    CHECK(ask(stream, {}).body == large + "smallkept");
  }
  fake::host.struct_size = sizeof(narwhal_host);
}

TEST_CASE("middleware: an app may be move-only, and its copies share it") {
  struct Counter {
    std::unique_ptr<int> calls = std::make_unique<int>(0);
    Response operator()(const Request&) { return Response::text(std::to_string(++*calls)); }
  };
  const App app = Counter();
  const App copy = app;
  CHECK(ask(app, {}).body == "1");
  CHECK(ask(copy, {}).body == "2");
}

TEST_CASE("stream: pieces, a declared length, and none at all") {
  const auto pieces = [](Writer& writer) {
    writer.write("a");
    CHECK(writer.try_write("b"));
    writer.write("c");
  };
  const Answer answer = ask([&](const Request&) { return Response::stream(pieces, "text/plain").status(202); }, {});
  CHECK(answer.status == 202);
  CHECK(answer.body == "abc");
  CHECK(answer.complete);
  CHECK(ask([&](const Request&) { return Response::stream(pieces, "x/y", 3); }, {}).complete);
  CHECK(ask([&](const Request&) { return Response::stream(pieces, "x/y", 4); }, {.breaks = true}).cut);
  const Answer too_much = ask([&](const Request&) { return Response::stream(pieces, "x/y", 2); }, {.breaks = true});
  CHECK(too_much.cut);
  CHECK(too_much.reason == "more was written than was declared");
  const Answer none = ask([](const Request&) { return Response::stream([](Writer&) {}); }, {});
  CHECK(none.status == 200);
  CHECK(none.complete);
}

TEST_CASE("stream: a client that leaves ends the stream without a log line; a slow one is reported") {
  int pieces = 0;
  const Answer gone = ask(
      [&](const Request&) {
        return Response::stream([&](Writer& writer) {
          for (;; ++pieces) writer.write("tick");
        });
      },
      {.gone_after = 3});
  CHECK(pieces == 3);
  CHECK(gone.code == NARWHAL_GONE);
  CHECK(gone.reason.empty());

  const Answer slow = ask(
      [&](const Request&) {
        return Response::stream([](Writer& writer) {
          CHECK(writer.try_write("a"));
          CHECK_FALSE(writer.try_write("b"));
          writer.write("c");
        });
      },
      {.slow_after = 1});
  CHECK(slow.body == "ac");
}

TEST_CASE("middleware: the outermost is named first, and may look at request and response") {
  std::string order;
  const auto noting = [&](std::string name) {
    return [&order, name](App inner) -> App {
      return [&order, name, inner](const Request& request) {
        order += name + "(";
        Response response = inner(request);
        order += ")";
        return std::move(response).header("X-By", name);
      };
    };
  };
  const Answer answer = ask(wrap(hello, noting("outer"), noting("inner")), {});
  CHECK(order == "outer(inner())");
  CHECK(answer.headers.back() == std::pair<std::string, std::string>("X-By", "outer"));
  CHECK(answer.body == "Hello, world!\n");
}

TEST_CASE("middleware: may answer without asking the app") {
  const Middleware locked = [](App inner) -> App {
    return [inner](const Request& request) { return request.header("X-Key") ? inner(request) : Response(403); };
  };
  CHECK(ask(wrap(hello, locked), {}).status == 403);
  CHECK(ask(wrap(hello, locked), {.headers = {{"X-Key", "k"}}}).status == 200);
}
