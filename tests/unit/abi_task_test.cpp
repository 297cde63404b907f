#include <doctest/doctest.h>
#include <narwhal/per_thread.hpp>
#include <narwhal/router.hpp>
#include <narwhal/task.hpp>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/fake_host.hpp"

using namespace narwhal;

namespace {

// Threads that give results, joined at the test's end.
std::vector<std::jthread> threads;
struct Threads {
  ~Threads() { threads.clear(); }
};

template <class Work>
auto on_a_thread(Work work) {
  using T = decltype(work());
  return result_of<T>([work](Completion<T> done) {
    threads.emplace_back([work, done = std::move(done)]() mutable {
      try {
        done(work());
      } catch (...) {
        done.fail(std::current_exception());
      }
    });
  });
}

task<int> half(int number) {
  if (number % 2 != 0) throw HttpError(422, "an odd number");
  co_return co_await on_a_thread([number] { return number / 2; });
}
task<void> nothing() { co_return; }

task<Response> halve(Request request) {
  const int number = request.query("n", 0);
  co_await nothing();
  const int first = co_await half(number), second = co_await half(first);
  co_return Response::text(std::to_string(second) + " " + std::string(request.path()));
}

}  // namespace

TEST_CASE("task: a coroutine is an app that waits for other threads and for other tasks") {
  const Threads joined;
  const Answer answer = ask(halve, {.target = "/x?n=12"});
  CHECK(answer.code == NARWHAL_DEFERRED);
  CHECK(answer.status == 200);
  CHECK(answer.body == "3 /x");
}

TEST_CASE("task: in a router, with parameters and inside middleware") {
  const Threads joined;
  const App show = [](Request request) -> task<Response> {
    const int id = co_await on_a_thread([request] { return request.parameter<int>("id"); });
    co_return Response::text(std::to_string(id)).status(201);
  };
  const Middleware passing = [](App app) -> App { return [app](const Request& request) { return app(request); }; };
  const Router router = Router().get("/<int:id>", wrap(show, passing));
  const Answer answer = ask(router, {.target = "/42"});
  CHECK(answer.body == "42");
  CHECK(answer.status == 201);
  CHECK(ask(router, {.target = "/5000000000"}).status == 404);
}

TEST_CASE("task: what it throws is answered, from its own thread and after it has waited") {
  const Threads joined;
  CHECK(ask(halve, {.target = "/?n=3"}).body == "an odd number\n");
  CHECK(ask(halve, {.target = "/?n=2"}).status == 422);
  CHECK(ask(halve, {.target = "/?n=x"}).status == 400);
  const auto failing = [](Request) -> task<Response> {
    co_await on_a_thread([]() -> int { throw std::runtime_error("no database"); });
    co_return Response();
  };
  const Answer failed = ask(failing, {});
  CHECK(failed.status == 500);
  CHECK(failed.reason == "no database");
}

TEST_CASE("task: a result may be there before the task waits, may be dropped, or never be asked for") {
  const auto at_once = [](Request) -> task<Response> {
    co_return Response::text(co_await result_of<std::string>([](Completion<std::string> done) { done("now"); }));
  };
  CHECK(ask(at_once, {}).body == "now");
  const auto dropping = [](Request) -> task<Response> {
    co_await result_of<int>([](Completion<int>) {});
    co_return Response();
  };
  CHECK(ask(dropping, {}).reason == "a task's result was dropped");
  const auto throwing = [](Request) -> task<Response> {
    co_await result_of<int>([](Completion<int>) { throw std::runtime_error("no pool"); });
    co_return Response();
  };
  CHECK(ask(throwing, {}).reason == "no pool");
  std::unique_ptr<Completion<int>> kept;
  const auto keeping = [&](Request) -> task<Response> {
    co_await result_of<int>([&](Completion<int> done) {
      kept = std::make_unique<Completion<int>>(std::move(done));
      throw std::runtime_error("after all");
    });
    co_return Response();
  };
  CHECK(ask(keeping, {}).reason == "after all");
  (*kept)(7);  // nobody waits any more
}

TEST_CASE("task: one that is never waited for ends without running") {
  bool ran = false;
  const auto running = [&]() -> task<void> {
    ran = true;
    co_return;
  };
  { const task<void> dropped = running(); }
  CHECK_FALSE(ran);
}

TEST_CASE("task: results and waiting meet on two threads, many times") {
  const Threads joined;
  const auto racing = [](Request) -> task<Response> {
    int sum = 0;
    for (int i = 0; i < 50; ++i) sum += co_await on_a_thread([i] { return i; });
    co_return Response::text(std::to_string(sum));
  };
  for (int round = 0; round < 10; ++round) CHECK(ask(racing, {}).body == "1225");
}

TEST_CASE("per thread: one object for each thread, made at its first use and deleted with their owner") {
  struct Counted {
    explicit Counted(std::atomic<int>& count) : alive(&count) { ++*alive; }
    Counted(Counted&& other) noexcept : alive(std::exchange(other.alive, nullptr)) {}
    ~Counted() {
      if (alive != nullptr) --*alive;
    }
    std::atomic<int>* alive;
  };
  std::atomic<int> alive = 0;
  {
    PerThread<Counted> counted([&] { return Counted(alive); });
    PerThread<int> numbers;
    CHECK(alive == 0);
    CHECK(&*counted == &*counted);
    CHECK(alive == 1);
    const Counted* const mine = &*counted;
    std::jthread([&] {
      CHECK(&*counted != mine);
      *numbers = 7;
      CHECK(*numbers == 7);
    }).join();
    CHECK(*numbers == 0);
    CHECK(alive == 2);
  }
  CHECK(alive == 0);
  bool fails = true;
  PerThread<int> trying([&] {
    if (std::exchange(fails, false)) throw std::runtime_error("not yet");
    return 5;
  });
  CHECK_THROWS_WITH_AS(*trying, "not yet", std::runtime_error);
  CHECK(*trying == 5);
}
