#include <doctest/doctest.h>

#include <string>

#include "tests/support/fake_host.hpp"

using namespace narwhal;

namespace {

// What AbiAdapter did with the only Shop.
std::string story;

struct Shop {
  explicit Shop(const Boot& boot) : currency(boot.get<std::string>("currency", "EUR")) {
    if (boot.get("broken", false)) throw std::runtime_error("the till is jammed");
    story += "made ";
  }
  Shop(const Shop&) = delete;
  ~Shop() { story += "gone "; }
  void ready_check() {
    if (currency == "XXX") throw std::runtime_error("no such currency");
    story += "ready ";
  }
  void thread_init() { story += "thread "; }
  void thread_exit() { throw std::runtime_error("thread_exit threw"); }
  void drain() { story += "drained "; }
  Response operator()(const Request&) { return Response::text(currency); }
  std::string currency;
};

Shop make_shop(const Boot& boot) { return Shop(boot); }

constexpr PluginFacts facts{.name = "shop",
                            .version = "1.2",
                            .flags = NARWHAL_STREAM_BODY,
                            .options = {{"currency", "string", "EUR", "what prices are in"}, {"broken", "bool"}}};
constexpr auto options = detail::option_list(facts);
constinit const narwhal_plugin shop = detail::AbiAdapter<make_shop>::plugin(facts, options.data());

struct Options {
  explicit Options(std::map<std::string, std::string> now) { fake::options = std::move(now); }
  Options(const Options&) = delete;
  ~Options() { fake::options.clear(); }
};

}  // namespace

TEST_CASE("plugin: facts and options reach the ABI as they were written") {
  CHECK(shop.struct_size == sizeof(narwhal_plugin));
  CHECK(shop.name == std::string("shop"));
  CHECK(shop.version == std::string("1.2"));
  CHECK(shop.flags == NARWHAL_STREAM_BODY);
  CHECK(shop.options[0].key == std::string("currency"));
  CHECK(shop.options[0].fallback == std::string("EUR"));
  CHECK(shop.options[1].type == std::string("bool"));
  CHECK(shop.options[1].fallback == nullptr);
  CHECK(shop.options[2].key == nullptr);
  CHECK(detail::stem_of("../examples/hello.world.cpp").data() == std::string("hello.world"));
  CHECK(detail::stem_of("plain").data() == std::string("plain"));
}

TEST_CASE("plugin: an app object lives from worker_init to worker_exit and gets the hooks it has") {
  story.clear();
  const Options options{{{"currency", "SEK"}}};
  {
    Worker worker(shop);
    REQUIRE(worker.boot_code() == NARWHAL_OK);
    const narwhal_boot boot = fake::boot();
    CHECK(shop.ready_check(&boot, worker.instance()) == NARWHAL_OK);
    CHECK(shop.thread_init(worker.instance()) == NARWHAL_OK);
    CHECK(worker.ask({}).body == "SEK");
    shop.drain(worker.instance());
    fake::log_lines.clear();
    shop.thread_exit(worker.instance());
    CHECK(fake::log_lines == std::vector<std::string>{"thread_exit threw"});
  }
  CHECK(story == "made ready thread drained gone ");
}

TEST_CASE("plugin: hooks that an app does not have are null") {
  CHECK((plugin_under_test.ready_check == nullptr));
  CHECK((plugin_under_test.thread_init == nullptr));
  CHECK((plugin_under_test.thread_exit == nullptr));
  CHECK((plugin_under_test.drain == nullptr));
}

TEST_CASE("plugin: what set-up throws is why the worker does not boot") {
  const Options options{{{"broken", "yes"}}};
  const Worker worker(shop);
  CHECK(worker.boot_code() == NARWHAL_ERROR);
  CHECK(fake::boot_failure == "the till is jammed");
}

TEST_CASE("plugin: what ready_check throws is why the worker may not accept") {
  const Options options{{{"currency", "XXX"}}};
  const Worker worker(shop);
  const narwhal_boot boot = fake::boot();
  CHECK(shop.ready_check(&boot, worker.instance()) == NARWHAL_ERROR);
  CHECK(fake::boot_failure == "no such currency");
}

TEST_CASE("options: each comes as the type it is asked for, or as its replacement") {
  const Options options{{{"n", "42"}, {"f", "1.5"}, {"s", "text"}, {"on", "ON"}, {"off", "false"}, {"bad", "12x"}}};
  const narwhal_boot c_boot = fake::boot();
  const Boot boot(&c_boot);
  CHECK(boot.get("n", 7) == 42);
  CHECK(boot.get<long>("n") == 42);
  CHECK(boot.get("none", 7) == 7);
  CHECK(boot.get("f", 0.0) == 1.5);
  CHECK(boot.get("s", "other") == "text");
  CHECK(boot.get("none", "other") == "other");
  CHECK(boot.get("on", false));
  CHECK_FALSE(boot.get("off", true));
  CHECK_THROWS_WITH_AS(boot.get("bad", 1), "option 'bad': '12x' is not a number of its type", std::invalid_argument);
  CHECK_THROWS_AS(boot.get("s", true), std::invalid_argument);
  CHECK_THROWS_AS(boot.get<std::uint8_t>("f"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(boot.get<int>("none"), "option 'none' is missing", std::invalid_argument);
}
