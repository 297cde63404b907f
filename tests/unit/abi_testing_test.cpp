// The test harness of plugin authors: what a Worker, a Client and an Answer do.
#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <narwhal/testing.hpp>
#include <string>
#include <thread>

using namespace narwhal::testing;
using namespace std::chrono_literals;
using narwhal::bytes_of;
using narwhal::view_of;

namespace {

const narwhal_host* host;
std::function<int(narwhal_exchange*)> handler;
std::string story;

narwhal_plugin plugin_of(std::function<int(narwhal_exchange*)> handle, std::uint32_t flags = 0) {
  handler = std::move(handle);
  story.clear();
  narwhal_plugin plugin{};
  plugin.struct_size = sizeof plugin;
  plugin.name = "test";
  plugin.flags = flags;
  plugin.worker_init = [](const narwhal_boot* boot, void**) {
    host = boot->host;
    return NARWHAL_OK;
  };
  plugin.handle = [](void*, narwhal_exchange* exchange) { return handler(exchange); };
  plugin.cancel = [](void*, narwhal_exchange* exchange) {
    story += "cancelled ";
    CHECK(host->gone(exchange) == 1);
    CHECK(host->fail(exchange, 500, bytes_of("")) == NARWHAL_GONE);
  };
  return plugin;
}

int respond(narwhal_exchange* exchange, std::string_view body, int status = 200) {
  narwhal_response response{};
  response.struct_size = sizeof response;
  response.status = status;
  response.body = bytes_of(body);
  return host->respond(exchange, &response);
}
int start(narwhal_exchange* exchange, std::int64_t size = -1) {
  narwhal_response response{};
  response.struct_size = sizeof response;
  response.status = 200;
  response.body_size = size;
  return host->start(exchange, &response);
}
int write(narwhal_exchange* exchange, std::string_view text, std::uint32_t flags = 0) {
  return host->write(exchange, bytes_of(text), flags);
}

// What the library reports, for the time of a test.
struct Reported {
  Reported() : former(on_breach([this](const std::string& breach) { breaches.push_back(breach); })) {}
  Reported(const Reported&) = delete;
  Reported& operator=(const Reported&) = delete;
  ~Reported() { on_breach(former); }
  std::vector<std::string> breaches;
  BreachHandler former;
};

}  // namespace

TEST_CASE("testing: a request is what the test says, and gets the fields that every client sends") {
  Worker worker(plugin_of([](narwhal_exchange* exchange) {
                  const narwhal_request& request = *host->request(exchange);
                  CHECK(view_of(request.method) == "POST");
                  CHECK(view_of(request.path) == "/shop/a%20b");
                  CHECK(view_of(request.query) == "x=1");
                  CHECK(view_of(request.prefix) == "/shop");
                  CHECK(view_of(request.authority) == "localhost");
                  CHECK(request.body_size == 4);
                  const auto variable = [&](std::string_view name) {
                    return view_of(host->variable(exchange, bytes_of(name)));
                  };
                  CHECK(variable("PATH_INFO") == "/a b");
                  CHECK(variable("SERVER_PORT") == "80");
                  CHECK(variable("CONTENT_LENGTH") == "4");
                  CHECK(variable("HTTP_ACCEPT") == "a,b");
                  CHECK(variable("NONE").data() == nullptr);
                  CHECK(view_of(host->header(exchange, bytes_of("ACCEPT"))) == "a");
                  narwhal_bytes body;
                  CHECK(host->body(exchange, &body) == NARWHAL_OK);
                  CHECK(host->body_fd(exchange) == -1);
                  return respond(exchange, view_of(body), 201);
                }),
                {.prefix = "/shop"});
  const Answer answer = worker.post("/shop/a%20b?x=1", "data", {{"Accept", "a"}, {"accept", "b"}});
  CHECK(answer.status == 201);
  CHECK(answer.body == "data");
  CHECK((answer.complete && answer.returned && answer.code == NARWHAL_OK));
  CHECK(answer.header("content-length") == "4");
  CHECK(answer.has_header("Date"));
  CHECK(worker.get("/other").status == 404);
}

TEST_CASE("testing: a large body lies in a file, and HTTP/1.0 and HEAD are answered as the server does") {
  Worker worker(plugin_of([](narwhal_exchange* exchange) {
    char text[8] = "";
    if (host->body_fd(exchange) >= 0) CHECK(::pread(host->body_fd(exchange), text, 4, 0) == 4);
    start(exchange);
    write(exchange, text);
    return host->finish(exchange);
  }));
  CHECK(worker.send({.method = "POST", .body = "file", .body_in_file = true}).body == "file");
  const Answer old = worker.send({.protocol = "HTTP/1.0"});
  CHECK_FALSE(old.has_header("Transfer-Encoding"));
  CHECK_FALSE(old.has_header("Content-Length"));
  const Answer head = worker.send({.method = "HEAD", .body = "file", .body_in_file = true});
  CHECK(head.body.empty());
  CHECK(head.complete);
}

TEST_CASE("testing: a streamed body comes piece by piece, until its end or until the client leaves") {
  std::atomic<std::int64_t> last{99};
  Worker worker(plugin_of(
      [&](narwhal_exchange* exchange) {
        std::string all;
        char piece[3];
        std::int64_t got;
        while ((got = host->read_body(exchange, piece, sizeof piece)) > 0) {
          all.append(piece, static_cast<std::size_t>(got));
          host->inform(exchange, 103, nullptr, 0);
        }
        last = got;
        return got == 0 ? respond(exchange, all) : NARWHAL_GONE;
      },
      NARWHAL_STREAM_BODY));
  CHECK(worker.post("/", "all at once").body == "all at once");
  Client client = worker.begin({.method = "POST", .body = "one ", .body_follows = true});
  client.send_body("two ");
  client.send_body("three");
  client.end_body();
  CHECK(client.answer().body == "one two three");
  CHECK(last == 0);
  Client leaving = worker.begin({.method = "POST", .body = "half", .body_follows = true});
  while (leaving.so_far().interim.empty()) leaving.wait_for_end(1ms);  // until it is read
  leaving.leave();
  CHECK(leaving.wait_for_return());
  CHECK(last == NARWHAL_GONE);
  CHECK(leaving.so_far().client_left);
  CHECK(leaving.so_far().status == 0);
}

TEST_CASE("testing: interim answers, trailers and values for the access log are seen") {
  Worker worker(plugin_of([](narwhal_exchange* exchange) {
    const narwhal_field link = {bytes_of("Link"), bytes_of("</a>")}, sum = {bytes_of("X-Sum"), bytes_of("7")};
    CHECK(host->inform(exchange, 103, &link, 1) == NARWHAL_OK);
    start(exchange);
    write(exchange, "body");
    CHECK(host->trailers(exchange, &sum, 1) == NARWHAL_OK);
    host->log_value(exchange, bytes_of("USER"), bytes_of("7"));
    return host->finish(exchange);
  }));
  const Answer answer = worker.get("/", {{"TE", "trailers"}});
  CHECK(answer.interim == std::vector<std::pair<int, Fields>>{{103, {{"Link", "</a>"}}}});
  CHECK(answer.trailers == Fields{{"X-Sum", "7"}});
  CHECK(answer.log_values == Fields{{"USER", "7"}});
  CHECK(worker.get("/").trailers.empty());
}

TEST_CASE("testing: a client that leaves a deferred exchange cancels it; one that is destroyed leaves") {
  narwhal_exchange* waiting = nullptr;
  Worker worker(plugin_of([&](narwhal_exchange* exchange) {
    waiting = exchange;
    return NARWHAL_DEFERRED;
  }));
  {
    const Client destroyed = worker.begin({});
    Client client = worker.begin({});
    CHECK(client.wait_for_return());
    client.leave();
    CHECK(story == "cancelled ");
    CHECK(client.answer().client_left);
  }
  CHECK(story == "cancelled cancelled ");
  Client answered = worker.begin({});
  CHECK(answered.wait_for_return());
  CHECK_FALSE(answered.wait_for_end(1ms));
  std::thread later([&] { CHECK(respond(waiting, "later") == NARWHAL_OK); });
  CHECK(answered.answer().body == "later");
  later.join();
}

TEST_CASE("testing: a handler has begun when begin() returns, unless its thread is in another one") {
  std::atomic<bool> may_return{false};
  narwhal_plugin plugin = plugin_of([&](narwhal_exchange* exchange) {
    if (view_of(host->request(exchange)->path) == "/leak") return NARWHAL_DEFERRED;
    may_return.wait(false);
    return respond(exchange, "done");
  });
  plugin.cancel = nullptr;
  for (int round = 0; round < 50; ++round) {
    Worker worker(plugin, {.patience = 200ms});
    worker.begin({.target = "/leak"}).leave();
    worker.end();
    CHECK(worker.take_breaches().size() == 1);
  }
  Worker worker(plugin);
  Client first = worker.begin({});
  const Client second = worker.begin({});  // its only thread is in the first one
  may_return = true;
  may_return.notify_all();
  CHECK(first.wait_for_return());
}

TEST_CASE("testing: a deadline is answered in the plugin's place, by hand or by the clock") {
  std::atomic<bool> may_return{false};
  narwhal_plugin plugin = plugin_of([&](narwhal_exchange* exchange) {
    if (view_of(host->request(exchange)->path) == "/later") return NARWHAL_DEFERRED;
    if (view_of(host->request(exchange)->path) == "/begun") start(exchange);
    host->inform(exchange, 103, nullptr, 0);
    may_return.wait(false);
    return respond(exchange, "too late");
  });
  plugin.stuck = [](void*, narwhal_exchange*) { story += "stuck "; };
  plugin.slow = [](void*, narwhal_exchange*) { story += "slow "; };
  Worker worker(plugin);
  for (const std::string target : {"/", "/begun"}) {
    may_return = false;
    Client client = worker.begin({.target = target});
    const auto has_begun = [&] { return !client.so_far().interim.empty() || client.so_far().status != 0; };
    while (!has_begun()) client.wait_for_end(1ms);
    client.pass_soft_timeout();
    client.pass_deadline();
    const Answer answer = client.answer();
    CHECK(answer.timed_out);
    CHECK_FALSE(answer.returned);
    CHECK(answer.status == (target == "/" ? 504 : 200));
    CHECK(answer.cut == (target == "/begun"));
    may_return = true;
    may_return.notify_all();
    CHECK(client.wait_for_return());
    CHECK(client.so_far().code == NARWHAL_GONE);
  }
  CHECK(story == "slow stuck slow stuck ");
  CHECK(worker.take_breaches() ==
        std::vector<std::string>{
            "plugin 'test' called inform() for GET /begun: the head of the response has been given already"});
  Worker timed(plugin, {.timeout = 20ms});
  const Answer late = timed.get("/later");
  CHECK(late.status == 504);
  timed.end();
  CHECK(story.ends_with("cancelled "));
  CHECK(timed.has_logged("WORKER TIMEOUT: GET /later is still in test"));
}

TEST_CASE("testing: a slow client makes a write wait; a write that may not wait returns NARWHAL_AGAIN") {
  std::atomic<int> code{99};
  Worker worker(plugin_of([&](narwhal_exchange* exchange) {
                  start(exchange);
                  while ((code = write(exchange, "12345678", NARWHAL_NOWAIT)) == NARWHAL_OK) std::this_thread::yield();
                  write(exchange, "the end");
                  return host->finish(exchange);
                }),
                {.response_buffer = 16});
  Client client = worker.begin({});
  CHECK(client.wait_for_body(8));
  client.stop_reading();
  while (code != NARWHAL_AGAIN) std::this_thread::yield();
  CHECK_FALSE(client.wait_for_end(5ms));
  client.read_on();
  CHECK(client.answer().body.ends_with("the end"));
  const Answer counted = worker.send({.slow_after = 2});
  CHECK(counted.body == "1234567812345678the end");
}

TEST_CASE("testing: writable() is called when a client that was too slow reads on, and only then") {
  static std::atomic<int> events{0};
  narwhal_plugin plugin = plugin_of([&](narwhal_exchange* exchange) {
    start(exchange);
    while (write(exchange, "12345678", NARWHAL_NOWAIT) == NARWHAL_OK) std::this_thread::yield();
    return NARWHAL_DEFERRED;
  });
  plugin.writable = [](void*, narwhal_exchange* exchange) {
    ++events;
    write(exchange, "the end", NARWHAL_NOWAIT);
    host->finish(exchange);
  };
  Worker worker(plugin, {.response_buffer = 16});
  Client client = worker.begin({});
  client.read_on();
  CHECK(events == 0);
  client.stop_reading();
  CHECK(client.wait_for_return());
  client.read_on();
  CHECK(events == 1);
  CHECK(client.answer().body.ends_with("the end"));
}

TEST_CASE("testing: flush() shows the answer while the handler goes on") {
  std::atomic<bool> may_return{false};
  Worker worker(plugin_of([&](narwhal_exchange* exchange) {
    respond(exchange, "early");
    if (view_of(host->request(exchange)->path) == "/flush") host->flush(exchange);
    may_return.wait(false);
    return NARWHAL_OK;
  }));
  Client flushed = worker.begin({.target = "/flush"});
  CHECK(flushed.wait_for_end());
  CHECK(flushed.so_far().body == "early");
  CHECK_FALSE(flushed.so_far().returned);
  may_return = true;
  may_return.notify_all();
  CHECK(flushed.answer().returned);
  may_return = false;
  Client held = worker.begin({});
  CHECK_FALSE(held.wait_for_end(5ms));
  CHECK(held.so_far().status == 0);
  may_return = true;
  may_return.notify_all();
  CHECK(held.answer().body == "early");
}

TEST_CASE("testing: memory runs out at each place in turn") {
  const auto released = std::make_shared<std::atomic<int>>(0);
  Worker worker(plugin_of([&](narwhal_exchange* exchange) {
    if (host->alloc(exchange, 8) == nullptr) return NARWHAL_ERROR;
    if (start(exchange, 4) != NARWHAL_OK) return NARWHAL_ERROR;
    const int code = host->write_lent(
        exchange, bytes_of("lent"), 0, [](void* count) { ++*static_cast<std::atomic<int>*>(count); }, released.get());
    const int finished = host->finish(exchange);
    CHECK(finished == (code == NARWHAL_OK ? NARWHAL_OK : NARWHAL_STATE));
    return code;
  }));
  CHECK(worker.send({.memory_calls = 0}).status == 500);
  CHECK(worker.send({.memory_calls = 1}).status == 500);
  CHECK(*released == 0);
  const Answer cut = worker.send({.memory_calls = 2});
  CHECK((cut.status == 200 && cut.cut && !cut.complete));
  CHECK(worker.has_logged("GET /: out of memory: the response is cut off"));
  CHECK(worker.send({.memory_calls = 3}).body == "lent");
  CHECK(*released == 2);
}

TEST_CASE("testing: with threads, requests run at once; each thread is set up and ended") {
  std::atomic<int> inside{0};
  narwhal_plugin plugin = plugin_of([&](narwhal_exchange* exchange) {
    ++inside;
    while (inside < 3) std::this_thread::yield();
    return respond(exchange, "together");
  });
  static std::atomic<int> begun, ended;
  begun = ended = 0;
  plugin.thread_init = [](void*) { return ++begun, NARWHAL_OK; };
  plugin.thread_exit = [](void*) { ++ended; };
  {
    Worker worker(plugin, {.threads = 3});
    Client one = worker.begin({}), two = worker.begin({}), three = worker.begin({});
    CHECK(one.answer().body == "together");
    CHECK(two.answer().body == "together");
    CHECK(three.answer().body == "together");
  }
  CHECK(begun == 3);
  CHECK(ended == 3);
  plugin.thread_init = [](void*) { return NARWHAL_ERROR; };
  CHECK(Worker(plugin).boot_error() == "thread_init of test failed");
}

TEST_CASE("testing: why a worker does not boot is said as the server says it") {
  narwhal_plugin plugin = plugin_of([](narwhal_exchange*) { return NARWHAL_ERROR; });
  static const narwhal_option options[] = {{"n", "int", "1", nullptr, 0}, {}};
  plugin.options = options;
  CHECK(Worker(plugin, {.options = {{"m", "1"}}}).boot_error() == "options of test: unknown option 'm': it knows n");
  CHECK(Worker(plugin, {.options = {{"n", "one"}}}).boot_error() ==
        "options of test: n: 'one' is not of type int: a whole number");
  CHECK(Worker("./none.so").boot_error().starts_with("load ./none.so: "));
  plugin.worker_init = [](const narwhal_boot* boot, void**) {
    CHECK(view_of(boot->option(boot, "n")) == "1");
    boot->fail(boot, bytes_of("no database"));
    return NARWHAL_ERROR;
  };
  Worker failed(plugin);
  CHECK_FALSE(failed.ready());
  CHECK(failed.boot_error() == "worker_init of test: no database");
  CHECK_THROWS_WITH_AS(failed.get("/"), "narwhal/testing: the worker has not booted: worker_init of test: no database",
                       std::logic_error);
}

TEST_CASE("testing: hooks come in the server's order, and the last ones see how the worker leaves") {
  narwhal_plugin plugin = plugin_of([](narwhal_exchange* exchange) { return respond(exchange, "x"); });
  plugin.preload = [](const narwhal_boot* boot, void**) { return story += "preload ", boot->worker + 1; };
  plugin.before_fork = [](void*) { story += "before_fork "; };
  plugin.worker_init = [](const narwhal_boot* boot, void**) {
    host = boot->host;
    story += "worker_init ";
    return host->watch(bytes_of("/shop.conf"));
  };
  plugin.ready_check = [](const narwhal_boot*, void*) { return story += "ready_check ", NARWHAL_OK; };
  plugin.drain = [](void*) { story += "drain "; };
  plugin.worker_exit = [](void*) { story += host->left_at_once() == 1 ? "worker_exit at once " : "worker_exit "; };
  plugin.after_fork = [](void*) { story += "after_fork "; };
  plugin.template_exit = [](void*) { story += "template_exit"; };
  {
    Worker worker(plugin, {.preload = true, .leaves_at_once = true});
    CHECK(worker.ready());
    CHECK(worker.get("/").host_headers.back().first == "Content-Length");
    worker.drain();
    CHECK(worker.get("/").header("Connection") == "close");
    CHECK(worker.watched() == std::vector<std::string>{"/shop.conf"});
    host->replace_worker();
    CHECK(worker.replacements_asked() == 1);
  }
  CHECK(story == "preload before_fork worker_init ready_check drain worker_exit at once after_fork template_exit");
}

TEST_CASE("testing: the template keeps what preload() has left, whatever worker_init() puts into its place") {
  static int made_by_preload, made_by_worker;
  static std::vector<void*> seen;
  narwhal_plugin plugin = plugin_of([](narwhal_exchange* exchange) { return respond(exchange, "x"); });
  plugin.preload = [](const narwhal_boot*, void** instance) { return *instance = &made_by_preload, NARWHAL_OK; };
  plugin.worker_init = [](const narwhal_boot*, void** instance) {
    seen.push_back(*instance);
    *instance = &made_by_worker;
    return NARWHAL_OK;
  };
  plugin.worker_exit = [](void* instance) { seen.push_back(instance); };
  plugin.before_fork = plugin.after_fork = plugin.template_exit = plugin.worker_exit;
  { const Worker worker(plugin, {.preload = true}); }
  CHECK(seen ==
        std::vector<void*>{&made_by_preload, &made_by_preload, &made_by_worker, &made_by_preload, &made_by_preload});
}

TEST_CASE("testing: what was posted to the event loop is called before worker_exit(), never after it") {
  narwhal_plugin plugin = plugin_of([](narwhal_exchange* exchange) {
    const auto* const loop = static_cast<const narwhal_loop*>(host->get_extension(NARWHAL_LOOP));
    loop->post([](void*) { story += "posted "; }, nullptr);
    return respond(exchange, "x");
  });
  story.clear();
  plugin.worker_exit = [](void*) { story += "worker_exit"; };
  { CHECK(Worker(plugin).get("/").status == 200); }
  CHECK(story == "posted worker_exit");
}

TEST_CASE("testing: a breach that nobody has taken is reported when the worker is destroyed, and so is a late one") {
  Reported reported;
  narwhal_exchange* kept = nullptr;
  {
    Worker worker(plugin_of([&](narwhal_exchange* exchange) {
      kept = exchange;
      return NARWHAL_OK;
    }));
    CHECK(worker.get("/").status == 500);
    CHECK(worker.breaches().size() == 1);
    CHECK(worker.take_breaches().size() == 1);
    CHECK(worker.breaches().empty());
    CHECK(worker.get("/again").reason == "the handler returned without an answer");
    CHECK(reported.breaches.empty());
  }
  REQUIRE(reported.breaches.size() == 1);
  CHECK(reported.breaches[0].starts_with("plugin 'test' returned NARWHAL_OK from handle() for GET /again: "));
  respond(kept, "much too late");
  REQUIRE(reported.breaches.size() == 2);
  CHECK(reported.breaches[1].starts_with("plugin 'test' called respond() for GET /again, which has ended"));
  {
    on_breach([](const std::string& breach) { throw std::runtime_error(breach); });
    auto worker = new Worker(plugin_of([](narwhal_exchange*) { return NARWHAL_OK; }));
    worker->get("/");
    CHECK_THROWS_AS(worker->~Worker(), std::runtime_error);
    ::operator delete(worker);
  }
}

TEST_CASE("testing: a host of an earlier minor version ends where the test says") {
  Worker worker(plugin_of([](narwhal_exchange* exchange) { return respond(exchange, "x"); }),
                {.host_size = offsetof(narwhal_host, inform)});
  CHECK_FALSE(NARWHAL_HAS(&worker.host(), narwhal_host, inform));
  CHECK((worker.host().inform == nullptr));
  CHECK(worker.get("/").body == "x");
}

TEST_CASE("testing: a bool may be any word of YAML, and reaches the plugin as true or false") {
  narwhal_plugin plugin = plugin_of([](narwhal_exchange*) { return NARWHAL_ERROR; });
  static const narwhal_option options[] = {{"loud", "bool", "Yes", nullptr, 0}, {}};
  static std::string got;
  plugin.options = options;
  plugin.worker_init = [](const narwhal_boot* boot, void**) {
    got = view_of(boot->option(boot, "loud"));
    return NARWHAL_OK;
  };
  const auto given = [&](const std::map<std::string, std::string>& words) {
    Settings settings;
    settings.options.insert(words.begin(), words.end());
    return Worker(plugin, settings).boot_error() + got;
  };
  CHECK(given({}) == "true");
  for (const char* yes : {"yes", "ON", "1", "true"}) CHECK(given({{"loud", yes}}) == "true");
  for (const char* no : {"no", "Off", "0", "false"}) CHECK(given({{"loud", no}}) == "false");
  got.clear();
  CHECK(given({{"loud", "maybe"}}) == "options of test: loud: 'maybe' is not of type bool: true or false");
}
