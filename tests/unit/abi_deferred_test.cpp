#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>

#include "tests/support/fake_host.hpp"

using namespace narwhal;

namespace {

// One deferred exchange whose handle a test holds.
struct Held {
  explicit Held(Ask ask) : exchange(fake::exchange(std::move(ask))) {
    app_under_test = [this](const Request&) {
      return Response::deferred([this](Deferred deferred) { handle.emplace(std::move(deferred)); });
    };
    worker.emplace(plugin_under_test);
    CHECK(worker->plugin().handle(worker->instance(), exchange.get()) == NARWHAL_DEFERRED);
  }
  void leave() {  // the client leaves, which the host reports as plugin.h says
    exchange->gone = true;
    worker->plugin().cancel(worker->instance(), exchange.get());
  }
  Answer answer() { return Worker::collect(*exchange, NARWHAL_DEFERRED); }

  fake::Exchange exchange;
  std::optional<Worker> worker;
  std::optional<Deferred> handle;
};

}  // namespace

TEST_CASE("deferred: any thread may answer later") {
  std::thread later;
  const Answer answer = ask(
      [&](const Request&) {
        return Response::deferred([&](Deferred deferred) {
          later = std::thread([deferred = std::move(deferred)]() mutable {
            CHECK(deferred.request().method() == "GET");
            CHECK(deferred.respond(Response::text("later").status(202).header("X-A", "1")) == Sent::ok);
            CHECK_FALSE(deferred);
          });
        });
      },
      {});
  later.join();
  CHECK(answer.code == NARWHAL_DEFERRED);
  CHECK(answer.status == 202);
  CHECK(answer.body == "later");
  CHECK(answer.header("X-A") == "1");
}

TEST_CASE("deferred: answered before the callable returns is fine") {
  const Answer answer = ask(
      [](const Request&) { return Response::deferred([](Deferred now) { now.respond(Response::text("now")); }); }, {});
  CHECK(answer.body == "now");
}

TEST_CASE("deferred: head, pieces, end") {
  Held held({.slow_after = 1});
  CHECK(held.handle->start(Response().header("Content-Type", "text/event-stream")) == Sent::ok);
  CHECK(held.handle->try_write("a") == Sent::ok);
  CHECK(held.handle->try_write("b") == Sent::again);
  CHECK(held.handle->write("c") == Sent::ok);
  CHECK(held.handle->finish() == Sent::ok);
  const Answer answer = held.answer();
  CHECK(answer.body == "ac");
  CHECK(answer.complete);
  CHECK(answer.header("Content-Type") == "text/event-stream");
}

TEST_CASE("deferred: fewer bytes than declared look truncated") {
  Held held({});
  CHECK(held.handle->start(Response(), 10) == Sent::ok);
  CHECK(held.handle->write("short") == Sent::ok);
  CHECK(held.handle->write("much too long") == Sent::state);
  CHECK(held.handle->finish() == Sent::state);
  CHECK_FALSE(*held.handle);
  CHECK(held.answer().cut);
}

TEST_CASE("deferred: dropped without an answer is 500, dropped in the middle is a visible cut") {
  Held held({});
  held.handle.reset();
  CHECK(held.answer().status == 500);
  CHECK(held.answer().reason == "a deferred request was dropped without an answer");

  Held begun({});
  begun.handle->start(Response());
  begun.handle.reset();
  CHECK(begun.answer().cut);

  Held unbegun({});
  unbegun.handle->finish();
  CHECK(unbegun.answer().status == 500);
}

TEST_CASE("deferred: respond() after start() cuts the response off, and says that it came too late") {
  Held held({});
  CHECK(held.handle->start(Response()) == Sent::ok);
  CHECK(held.handle->write("begun") == Sent::ok);
  CHECK(held.handle->respond(Response::text("whole")) == Sent::state);
  CHECK_FALSE(*held.handle);
  const Answer answer = held.answer();
  CHECK(answer.cut);
  CHECK(answer.reason == "respond() after start(): the response is cut off");
}

TEST_CASE("deferred: each answer after the first has no effect, and names the call and the request") {
  Held held({.target = "/shop"});
  Deferred& handle = *held.handle;
  CHECK(handle.respond(Response::text("first")) == Sent::ok);
  CHECK_FALSE(handle);
  CHECK(handle.gone());
  CHECK(handle.respond(Response::text("second")) == Sent::state);
  CHECK(handle.start(Response()) == Sent::state);
  CHECK(handle.write("x") == Sent::state);
  CHECK(handle.finish() == Sent::state);
  CHECK(handle.fail(500, "late") == Sent::state);
  try {
    throw std::runtime_error("late");
  } catch (const std::exception&) {
    CHECK(handle.respond_exception() == Sent::state);
  }
  held.handle.reset();
  CHECK(held.answer().body == "first");
  std::vector<std::string> wanted;
  for (const char* call : {"respond", "start", "write", "finish", "fail"})
    wanted.push_back(std::string("called ") + call + "() for GET /shop, which has ended");
  const std::vector<std::string> breaches = held.exchange.real->site->breaches.take();
  REQUIRE(breaches.size() == wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) CHECK(breaches[i].find(wanted[i]) != std::string::npos);
}

TEST_CASE("deferred: moving passes the duty on, once") {
  Held held({});
  Deferred first = std::move(*held.handle);
  held.handle.reset();
  CHECK_FALSE(held.exchange->ended);
  Held other({});
  first = std::move(*other.handle);  // what `first` held before is dropped
  CHECK(held.answer().status == 500);
  CHECK_FALSE(other.exchange->ended);
  first.respond(Response::text("x"));
  CHECK(other.answer().body == "x");
}

TEST_CASE("deferred: what may not go on the wire is 500, also from a stream that throws") {
  Held held({});
  CHECK(held.handle->respond(Response(99)) == Sent::error);
  CHECK(held.answer().status == 500);

  Held nested({});
  nested.handle->respond(Response::deferred([](Deferred) {}));
  CHECK(nested.answer().status == 500);

  Held thrown({});
  CHECK(thrown.handle->respond(Response::stream([](Writer& writer) {
    writer.write("a");
    throw std::runtime_error("thrown");
  })) == Sent::error);
  CHECK(thrown.answer().cut);
  CHECK(thrown.answer().reason == "thrown");
  Held refused({});
  CHECK(refused.handle->respond(Response::stream([](Writer&) { throw HttpError(403); })) == Sent::ok);
  CHECK(refused.answer().status == 403);

  Held streamed({});
  CHECK(streamed.handle->respond(Response::stream([](Writer& writer) { writer.write("abc"); }, "a/b", 3)) == Sent::ok);
  CHECK(streamed.answer().body == "abc");

  Held truncated({});
  CHECK(truncated.handle->respond(Response::stream([](Writer& w) { w.write("abc"); }, "a/b", 4)) == Sent::error);
  CHECK(truncated.answer().cut);
}

TEST_CASE("deferred: what the callable throws is answered and logged as if the app had thrown it") {
  fake::log_lines.clear();
  const Answer answer = ask(
      [](const Request&) { return Response::deferred([](Deferred) { throw std::runtime_error("no queue"); }); }, {});
  CHECK(answer.status == 500);
  CHECK(answer.reason == "no queue");  // fail() logs it with the request
  const Answer refused = ask(
      [](const Request&) {
        return Response::deferred([](Deferred deferred) {
          deferred.on_cancel([] {});
          throw HttpError(429).header("Retry-After", "1");
        });
      },
      {});
  CHECK(refused.status == 429);
  CHECK(refused.header("Retry-After") == "1");
  CHECK(fake::log_lines.empty());
}

TEST_CASE("deferred: an HttpError after the head cuts the response off, with its text in the log") {
  const Answer late = ask(
      [](const Request&) {
        return Response::deferred([](Deferred deferred) {
          deferred.start(Response());
          deferred.write("piece");
          throw HttpError(410, "no more");
        });
      },
      {});
  CHECK(late.status == 200);
  CHECK(late.cut);
  CHECK(late.reason == "no more");
}

TEST_CASE(
    "deferred: what the callable throws after it has answered or passed its Deferred on is logged with the request") {
  fake::log_lines.clear();
  std::optional<Deferred> kept;
  const Answer answer = ask(
      [](const Request&) {
        return Response::deferred([](Deferred deferred) {
          deferred.respond(Response::text("answered"));
          throw std::runtime_error("late");
        });
      },
      {.target = "/x?y"});
  CHECK(answer.body == "answered");
  const auto exchange = fake::exchange({.method = "POST", .target = "/kept"});
  app_under_test = [&](const Request&) {
    return Response::deferred([&](Deferred deferred) {
      kept.emplace(std::move(deferred));
      throw std::runtime_error("later");
    });
  };
  Worker worker(plugin_under_test);
  CHECK(worker.plugin().handle(worker.instance(), exchange.get()) == NARWHAL_DEFERRED);
  CHECK_FALSE(exchange->ended);
  kept->respond(Response::text("all the same"));
  CHECK(exchange->body == "all the same");
  fake::take_lines();
  CHECK(fake::log_lines == std::vector<std::string>{"GET /x: late", "POST /kept: later"});
}

TEST_CASE("deferred: one that is dropped by an exception which the callable catches itself is answered 500") {
  const Answer answer = ask(
      [](const Request&) {
        return Response::deferred([](Deferred deferred) {
          try {
            const Deferred held = std::move(deferred);
            throw std::runtime_error("caught");
          } catch (const std::exception&) {
          }
        });
      },
      {});
  CHECK(answer.status == 500);
  CHECK(answer.reason == Deferred::dropped);
}

TEST_CASE("deferred: the exchange's own pointer is the app's, with a callback in place too") {
  int called = 0, value = 0;
  Held held({});
  held.handle->on_cancel([&] { ++called; });
  fake::set_user(held.exchange.get(), &value);
  held.leave();
  CHECK(called == 1);
  CHECK(held.exchange->user == &value);
  held.handle->respond(Response::text("x"));
  CHECK(held.exchange->user == &value);
}

TEST_CASE("deferred: lent pieces") {
  const std::string large(10'000, 'x');
  Held held({});
  CHECK(held.handle->start(Response()) == Sent::ok);
  CHECK(held.handle->write_owned(large) == Sent::ok);
  CHECK(held.handle->write(forever("kept")) == Sent::ok);
  CHECK(held.handle->finish() == Sent::ok);
  CHECK(held.answer().body == large + "kept");
}

TEST_CASE("deferred: after the client has gone, every call returns that and nothing breaks") {
  Held held({});
  held.leave();
  CHECK(held.handle->gone());
  CHECK(held.handle->start(Response()) == Sent::gone);
  CHECK(held.handle->write("x") == Sent::gone);
  CHECK(held.handle->finish() == Sent::gone);
  Held other({});
  other.leave();
  CHECK(other.handle->respond(Response::text("x")) == Sent::gone);
  CHECK(other.exchange->ended);
  Held streamed({});
  streamed.leave();
  CHECK(streamed.handle->respond(Response::stream([](Writer& writer) { writer.write("x"); })) == Sent::gone);
  CHECK(streamed.exchange->ended);
}

TEST_CASE("deferred: on_cancel is called once, may end the exchange itself, and is dropped at its end") {
  int called = 0;
  Held held({});
  held.handle->on_cancel([&] {
    ++called;
    held.handle.reset();
  });
  held.leave();
  CHECK(called == 1);
  CHECK(held.exchange->ended);

  Held late({});
  late.leave();
  late.handle->on_cancel([&] { ++called; });  // too late for the hook, so called at once
  CHECK(called == 2);

  Held ended({});
  ended.handle->on_cancel([&] { ++called; });
  ended.handle->respond(Response::text("x"));
  ended.leave();
  CHECK(called == 2);

  Held replaced({});
  replaced.handle->on_cancel([&] { called += 100; });
  replaced.handle->on_cancel([&] { ++called; });
  replaced.leave();
  CHECK(called == 3);
}

TEST_CASE("deferred: on_writable is called each time, may end the exchange itself, and is dropped at its end") {
  int called = 0;
  Held held({.slow_after = 1});
  const auto report = [&] { held.worker->plugin().writable(held.worker->instance(), held.exchange.get()); };
  held.handle->on_writable([&] {
    if (++called == 3) held.handle->finish();
  });
  CHECK(held.handle->start(Response()) == Sent::ok);
  CHECK(held.handle->try_write("a") == Sent::ok);
  CHECK(held.handle->try_write("b") == Sent::again);
  for (int event = 0; event < 4; ++event) report();
  CHECK(called == 3);
  CHECK(held.exchange->ended);

  Held replaced({});
  replaced.handle->on_writable([&] {
    replaced.handle->on_writable([&] { called = 100; });
    ++called;
  });
  replaced.worker->plugin().writable(replaced.worker->instance(), replaced.exchange.get());
  CHECK(called == 4);
  replaced.worker->plugin().writable(replaced.worker->instance(), replaced.exchange.get());
  CHECK(called == 100);
}

TEST_CASE("deferred: a writable that meets the end on another thread does no harm") {
  for (int round = 0; round < 200; ++round) {
    Held held({});
    std::atomic<int> called{0};
    held.handle->on_writable([&, kept = std::string(100, 'x')] { called += kept.size() == 100 ? 1 : 100; });
    std::thread ending([&] { held.handle->respond(Response::text("x")); });
    held.worker->plugin().writable(held.worker->instance(), held.exchange.get());
    ending.join();
    CHECK(called <= 1);
  }
}

TEST_CASE("deferred: a cancel that meets the end on another thread does no harm") {
  for (int round = 0; round < 200; ++round) {
    Held held({});
    std::atomic<int> called{0};
    held.handle->on_cancel([&] { ++called; });
    std::thread ending([&] { held.handle->respond(Response::text("x")); });
    held.leave();
    ending.join();
    CHECK(called <= 1);
    CHECK(held.exchange->ended);
  }
}
