// metrics.hpp and timers.hpp, and what the harness makes of narwhal/extensions.h.
#include <doctest/doctest.h>
#include <narwhal/app.hpp>
#include <narwhal/metrics.hpp>
#include <narwhal/testing.hpp>
#include <narwhal/timers.hpp>

#include <memory>
#include <string>
#include <thread>

using namespace narwhal;
using namespace std::chrono_literals;

namespace {

struct Shop {
  Counter orders{"shop_orders_total", "Orders.", {{"kind", "a \"b\"\\\n"}}};
  Gauge level{"shop_level", "Level."};
  Histogram sizes{"shop_sizes", "Sizes.", {1, 10}};
  SharedNumber visitors{"visitors"};
  int expired = 0;
  Timer every = Timer::every(10s, [this] { ++expired; });
  Timer once = Timer::once(25s, [this] {
    ++expired;
    throw std::runtime_error("the timer has thrown");
  });

  Response operator()(const Request& request) {
    if (request.path() == "/later") {
      return Response::deferred([](Deferred answer) {
        auto kept = std::make_shared<Deferred>(std::move(answer));
        CHECK(post_to_loop([kept] { kept->respond(Response::text("later")); }));
      });
    }
    if (request.path() == "/expired") return Response::text(std::to_string(expired));
    if (request.path() == "/stop") {
      every.stop();
      return Response::text(every ? "runs" : "stopped");
    }
    orders.add();
    orders.add(0.5);
    level.set(3);
    level.add(-1);
    sizes.observe(5);
    sizes.observe(50);
    return Response::text(std::to_string(visitors.add(2)) + (visitors.is_shared() ? " shared" : " own"));
  }
};
Shop make_shop(const Boot&) { return Shop(); }
constexpr PluginFacts facts{.name = "shop"};
constexpr auto options = detail::option_list(facts);
constinit const narwhal_plugin shop = detail::AbiAdapter<make_shop, &facts>::plugin(facts, options.data());

}  // namespace

TEST_CASE("extensions: what a plugin counts can be read by its test") {
  testing::Worker worker(shop);
  REQUIRE(worker.boot_error() == "");
  const std::int64_t before = testing::Worker::shared_number("visitors");
  CHECK(worker.get("/").body == std::to_string(before + 2) + " shared");
  CHECK(testing::Worker::shared_number("visitors") == before + 2);
  CHECK(testing::Worker::metric("shop_orders_total", R"(kind="a \"b\"\\\n")") == 1.5);
  CHECK(testing::Worker::metric("shop_level") == 2);
  CHECK(testing::Worker::metric("shop_sizes") == 55);
  CHECK(testing::Worker::observations("shop_sizes") == 2);
  CHECK(testing::Worker::metric("none") == 0);
}

TEST_CASE("extensions: timers fire in the time that the test lets pass, and what was posted is called") {
  testing::Worker worker(shop);
  CHECK(worker.get("/later").body == "later");
  worker.pass_time(9999ms);
  CHECK(worker.get("/expired").body == "0");
  worker.pass_time(1ms);
  CHECK(worker.get("/expired").body == "1");
  worker.pass_time(30s);  // to 40 s
  CHECK(worker.get("/expired").body == "5");
  CHECK(worker.has_logged("the timer has thrown"));
  CHECK(worker.get("/stop").body == "stopped");
  worker.pass_time(1h);
  CHECK(worker.get("/expired").body == "5");
}

TEST_CASE("extensions: without the extensions a plugin works, and counts for nobody") {
  const SharedNumber alone("alone");
  detail::the_host = nullptr;
  const SharedNumber number("visitors");
  CHECK_FALSE(number.is_shared());
  CHECK(number.add(1) == 1);
  std::int64_t expected = 0;
  CHECK_FALSE(number.replace(expected, 7));
  CHECK(expected == 1);
  CHECK(number.replace(expected, 7));
  CHECK(number.load() == 7);
  const Counter counter("c_total", "");
  counter.add();
  CHECK_FALSE(post_to_loop([] {}));
  CHECK_FALSE(Timer::once(1s, [] {}));
}

TEST_CASE("extensions: metrics that the server would refuse, and a timer that is ended twice, are breaches") {
  testing::Worker worker(shop);
  const auto* const metrics = static_cast<const narwhal_metrics*>(worker.host().get_extension(NARWHAL_METRICS));
  const auto* const loop = static_cast<const narwhal_loop*>(worker.host().get_extension(NARWHAL_LOOP));
  CHECK(worker.host().get_extension("narwhal.none/1") == nullptr);
  const auto breach = [&](std::int32_t kind, std::string_view name) {
    CHECK(metrics->metric(kind, bytes_of(name), {}, {}, nullptr, 0) == nullptr);
    const std::vector<std::string> breaches = worker.take_breaches();
    return breaches.size() == 1 ? breaches[0] : "none";
  };
  CHECK(breach(NARWHAL_COUNTER, "9") == "plugin 'shop' asked for the metric '9': this is not a name for one");
  CHECK(breach(NARWHAL_COUNTER, "narwhal_x").ends_with("this is not a name for one"));
  CHECK(breach(NARWHAL_HISTOGRAM, "x").ends_with("a histogram has bounds, and nothing else has"));
  CHECK(breach(NARWHAL_COUNTER, "shop_level").ends_with("the name has another kind or other bounds already"));
  narwhal_timer* const timer = loop->start_timer(
      1, 0, [](void*) {}, nullptr);
  loop->stop_timer(timer);
  loop->stop_timer(timer);
  const std::vector<std::string> breaches = worker.take_breaches();
  REQUIRE(breaches.size() == 1);
  CHECK(breaches[0].find("called stop_timer() twice") != std::string::npos);
}
