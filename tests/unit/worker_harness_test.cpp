// The test harness for plugins against a real worker: the same plugin code in both, and what came of it.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <sys/mman.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/compared_hosts.hpp"

using namespace compared;

namespace {

int memory_file() {
  static const int fd = [] {
    const int made = ::memfd_create("file", MFD_CLOEXEC);
    REQUIRE(::write(made, "0123456789", 10) == 10);
    return made;
  }();
  return fd;
}

const harness::Fields many_fields = {{"Content-Type", "text/plain"},
                                     {"content-length", "3"},
                                     {"Connection", "close"},
                                     {"Keep-Alive", "timeout=5"},
                                     {"Date", "today"},
                                     {"Server", "shop"},
                                     {"TE", "gzip"},
                                     {"Upgrade", "websocket"},
                                     {"Transfer-Encoding", "gzip"},
                                     {"Trailer", "X-Sum"},
                                     {"X-Empty", ""},
                                     {"X-Tab", "a\tb"},
                                     {"X-High", "\xc3\xa9"},
                                     {"Set-Cookie", "a=1"},
                                     {"Set-Cookie", "b=2"},
                                     {"Proxy-Connection", "x"}};

const std::vector<Code> codes = {
    // Arguments that plugin.h does not have.
    [](Calls& calls) {
      const narwhal_response nothing{};
      calls.note("respond", calls.host().respond(calls.exchange(), &nothing));
      calls.note("start", calls.host().start(calls.exchange(), &nothing));
      calls.start(-1);
      calls.note("write", calls.host().write(calls.exchange(), NARWHAL_LITERAL("x"), 0x80));
      calls.note("write_lent", calls.host().write_lent(
                                   calls.exchange(), NARWHAL_LITERAL("x"), 0x80, [](void*) {}, nullptr));
      return calls.finish();
    },
    [](Calls& calls) { return calls.respond(200, "body"); },
    [](Calls& calls) { return calls.respond(200, "body", many_fields); },
    [](Calls& calls) {
      return calls.respond(200, "", {{"Content-Length", "77"}});
    },
    [](Calls& calls) { return calls.respond(418, "body", {}, "No Coffee"); },
    [](Calls& calls) { return calls.respond(426, "body", many_fields); },
    [](Calls& calls) {
      return calls.respond(204, "body", {{"Content-Length", "4"}});
    },
    [](Calls& calls) {
      return calls.respond(205, "body", {{"Content-Length", "4"}});
    },
    [](Calls& calls) {
      return calls.respond(304, "body", {{"Content-Length", "4"}, {"ETag", "\"e\""}});
    },
    [](Calls& calls) { return calls.respond(304, ""); },
    [](Calls& calls) {
      calls.respond(99, "body");
      calls.respond(600, "body");
      calls.respond(200, "body", {{"X-A", "a\r\nb: c"}});
      calls.respond(200, "body", {{"X A", "a"}});
      calls.respond(200, "body", {{"", "a"}});
      calls.respond(200, "body", {}, "a\nb");
      calls.start(-1, {{"Content-Length", "many"}});
      calls.start(-1, {{"Content-Length", "1"}, {"Content-Length", "2"}});
      return calls.respond(200, "after all");
    },
    [](Calls& calls) {
      calls.write("x");
      calls.lend("x");
      calls.finish();
      calls.trailers({});
      calls.send_file(memory_file(), 0, 1);
      return calls.respond(200, "at last");
    },
    [](Calls& calls) {
      calls.inform(100);
      calls.inform(103, {{"Link", "</a>"}, {"Content-Length", "5"}});
      calls.inform(199, {{"X-A", "a\nb"}});
      calls.inform(102);
      calls.start(-1, many_fields);
      calls.inform(103);
      calls.start(-1);
      calls.respond(200, "body");
      calls.write("one");
      calls.write("");
      calls.lend("two");
      calls.trailers({{"X-Sum", "7"}, {"X-More", "8"}});
      calls.trailers({{"Content-Length", "7"}});
      calls.trailers({{"X-A", "a\nb"}});
      calls.trailers({{"X-Last", "9"}});
      return calls.finish();
    },
    [](Calls& calls) {
      calls.start(10, {{"Content-Length", "3"}});
      calls.write("12345");
      calls.write("123456");
      calls.trailers({{"X-Sum", "7"}});
      calls.send_file(memory_file(), 5, 6);
      calls.send_file(-1, 0, 1);
      calls.send_file(memory_file(), -1, 1);
      calls.send_file(memory_file(), 0, 6);
      calls.send_file(memory_file(), 5, 5);
      calls.lend("x");
      return calls.finish();
    },
    [](Calls& calls) {
      calls.start(-1, {{"Content-Length", "4"}});
      calls.write("body");
      calls.write("x");
      return calls.finish();
    },
    [](Calls& calls) {
      calls.start(0);
      return calls.finish();
    },
    [](Calls& calls) {
      calls.start(-1, {}, 304);
      calls.write("dropped");
      calls.send_file(memory_file(), 0, 4);
      return calls.finish();
    },
    [](Calls& calls) {
      calls.start(10);
      calls.write("short");
      calls.finish();
      return NARWHAL_OK;
    },
    [](Calls& calls) { return calls.fail(404); },
    [](Calls& calls) { return calls.fail(503); },
    [](Calls& calls) { return calls.fail(200); },
    [](Calls& calls) {
      calls.inform(103, {{"Link", "</a>"}});
      return calls.fail(429);
    },
    [](Calls& calls) {
      calls.start(-1);
      calls.write("half");
      return calls.fail(500);
    },
};

// Those that end their exchange only because handle() returns.
const std::vector<Code> in_handler_only = {
    [](Calls&) { return NARWHAL_OK; },
    [](Calls&) { return NARWHAL_ERROR; },
    [](Calls&) { return NARWHAL_GONE; },
    [](Calls&) { return 17; },
    [](Calls& calls) { return calls.start(-1); },
    [](Calls& calls) {
      calls.start(5);
      calls.write("half");
      return NARWHAL_ERROR;
    },
    [](Calls& calls) {
      calls.respond(200, "once");
      calls.respond(200, "twice");
      calls.start(-1);
      calls.write("x");
      calls.inform(103);
      calls.trailers({});
      calls.finish();
      return calls.fail(500);
    },
    [](Calls& calls) {
      calls.respond(200, "ended, but called deferred");
      return NARWHAL_DEFERRED;
    },
};

const std::vector<Sent> requests = {{.headers = {{"TE", "trailers"}}},
                                    {},
                                    {.method = "HEAD"},
                                    {.protocol = "HTTP/1.0"},
                                    {.method = "POST", .body = "a body"}};

}  // namespace

TEST_CASE("harness: what a handler's calls return and what its client gets are those of a real worker") {
  for (const Sent& sent : requests) {
    for (const std::vector<Code>* some : {&codes, &in_handler_only}) {
      for (const Code& code : *some) {
        CAPTURE(sent.method);
        CAPTURE(sent.protocol);
        CAPTURE(&code - some->data());
        compare(code, sent, false);
      }
    }
  }
}

TEST_CASE("harness: the same for a deferred exchange") {
  for (const Sent& sent : {requests[0], requests[2]}) {
    for (const Code& code : codes) {
      CAPTURE(sent.method);
      CAPTURE(&code - codes.data());
      compare(code, sent, true);
    }
  }
}

TEST_CASE("harness: a request looks as it does in a real worker") {
  const Code describes = [](Calls& calls) {
    const narwhal_request& request = *calls.host().request(calls.exchange());
    std::string text;
    for (const narwhal_bytes& each : {request.method, request.target, request.path, request.query, request.prefix,
                                      request.scheme, request.authority, request.protocol, request.client}) {
      text += std::string(view_of(each)) + "|";
    }
    for (std::uint32_t i = 0; i < request.field_count; ++i) {
      const std::string name(view_of(request.fields[i].name));
      if (name != "Connection") text += name + "=" + std::string(view_of(request.fields[i].value)) + "|";
    }
    text += std::to_string(request.body_size) + "|";
    for (const std::string_view name :
         {"REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_URI", "SERVER_PROTOCOL", "REMOTE_ADDR",
          "CLIENT_ADDR", "REQUEST_SCHEME", "SERVER_SOFTWARE", "GATEWAY_INTERFACE", "CONTENT_TYPE", "CONTENT_LENGTH",
          "SERVER_NAME", "SERVER_PORT", "HTTP_HOST", "HTTP_X_A", "HTTP_COOKIE", "NONE"}) {
      const narwhal_bytes value = calls.host().variable(calls.exchange(), narwhal::bytes_of(name));
      text += value.data == nullptr ? "none|" : std::string(view_of(value)) + "|";
    }
    narwhal_bytes body;
    calls.note("body", calls.host().body(calls.exchange(), &body));
    char piece[4];
    std::int64_t got;
    while ((got = calls.host().read_body(calls.exchange(), piece, sizeof piece)) > 0) calls.note("read_body", got);
    return calls.respond(200, text + std::string(view_of(body)));
  };
  for (const Sent& sent : std::vector<Sent>{
           {.target = "/a%20b/%2f?x=%41&y"},
           {.target = "/%zz?"},
           {.target = "http://h:81/a?b"},
           {.target = "//a?b?c"},
           {.method = "OPTIONS", .target = "*"},
           {.headers = {{"x-a", "1"}, {"X-A", "2"}, {"Cookie", "a=1"}, {"cookie", "b=2"}, {"Content-Type", "a/b"}}},
           {.method = "POST", .body = "ten bytes!"},
           {.protocol = "HTTP/1.0", .headers = {{"Host", "h"}}}}) {
    CAPTURE(sent.target);
    if (sent.headers.empty() || sent.headers[0].first != "Host") compare(describes, sent, false);
  }
}

// The plugin of tests/plugins whose every path is another kind of answer.
TEST_CASE("harness: a plugin from a file answers as in a real worker") {
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const std::string file = (here / "plugins" / "answers.so").string();
  REQUIRE_MESSAGE(std::filesystem::exists(file), "build the plugins of tests/plugins first: ", file);
  const std::vector<std::string> targets = {"/framed?size=4&body=body",
                                            "/framed?body=body",
                                            "/framed?size=9&body=body",
                                            "/framed?size=2&body=body",
                                            "/framed?cl=4&body=body",
                                            "/framed?cl=x&body=body",
                                            "/framed?status=204&body=body",
                                            "/framed?status=304&cl=7",
                                            "/whole?body=body",
                                            "/whole?cl=9&body=body",
                                            "/whole?status=205&body=body",
                                            "/whole?status=600",
                                            "/inform",
                                            "/inform-and-fail",
                                            "/inform-later",
                                            "/inform-wrongly",
                                            "/trailers",
                                            "/trailers?size=4",
                                            "/file?how=pipe&length=4",
                                            "/file?how=folder&length=4",
                                            "/file?how=bad&length=4",
                                            "/other"};
  answers::Lines in_the_harness;
  {
    harness::Worker worker(file);
    REQUIRE(worker.ready());
    for (const std::string& target : targets) {
      in_the_harness.push_back(answers::text_of(worker.get(target, {{"TE", "trailers"}, {"Connection", "close"}})));
      in_the_harness.back() += worker.get("/codes").body;
    }
    worker.take_breaches();
  }
  void* const library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  REQUIRE(library != nullptr);
  const auto& plugin = *static_cast<const narwhal_plugin*>(::dlsym(library, "narwhal_plugin_v1"));
  narwhal_boot boot{};
  boot.struct_size = sizeof boot;
  boot.host = &host_table;
  void* instance = nullptr;
  REQUIRE(plugin.worker_init(&boot, &instance) == NARWHAL_OK);
  InProcess server({{"", [&](narwhal_exchange* exchange) { return plugin.handle(instance, exchange); }}}, config_of(1));
  for (std::size_t i = 0; i < targets.size(); ++i) {
    CAPTURE(targets[i]);
    Client client(server), asking(server);
    client.send("GET " + targets[i] + " HTTP/1.1\r\nHost: localhost\r\nTE: trailers\r\nConnection: close\r\n\r\n");
    const std::string bytes = client.rest();
    asking.get("/codes");
    CHECK(in_the_harness[i] == text_of_bytes(bytes, client.was_reset(), false) + asking.answer().body);
  }
}
