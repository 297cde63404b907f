#include <doctest/doctest.h>
#include <narwhal/worker.hpp>

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
    CHECK(worker.ask({}).body == "SEK");
    fake::log_lines.clear();
  }
  CHECK(fake::log_lines == std::vector<std::string>{"thread_exit(): thread_exit threw"});
  CHECK(story == "made thread ready drained gone ");
}

TEST_CASE("plugin: hooks that an app does not have are null") {
  CHECK((plugin_under_test.ready_check == nullptr));
  CHECK((plugin_under_test.thread_init == nullptr));
  CHECK((plugin_under_test.thread_exit == nullptr));
  CHECK((plugin_under_test.drain == nullptr));
}

TEST_CASE("plugin: what set-up throws is why the worker does not boot") {
  const Options options{{{"broken", "true"}}};
  const Worker worker(shop);
  CHECK(worker.boot_code() == NARWHAL_ERROR);
  CHECK(fake::boot_failure == "the till is jammed");
}

TEST_CASE("plugin: what ready_check throws is why the worker may not accept") {
  const Options options{{{"currency", "XXX"}}};
  const Worker worker(shop);
  CHECK(worker.boot_code() == NARWHAL_ERROR);
  CHECK(fake::boot_failure == "no such currency");
}

TEST_CASE("options: each comes as the type it is asked for, or as its replacement") {
  const Options options{
      {{"n", "42"}, {"f", "1.5"}, {"s", "text"}, {"on", "ON"}, {"off", "false"}, {"bad", "12x"}, {"n256", "256"}}};
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
  CHECK_THROWS_WITH_AS(boot.get("bad", 1), "option 'bad': '12x' is not a whole number from -2147483648 to 2147483647",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(boot.get<std::uint8_t>("n256"), "option 'n256': '256' is not a whole number from 0 to 255",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(boot.get("bad", 1.0), "option 'bad': '12x' is not a number", std::invalid_argument);
  CHECK_THROWS_AS(boot.get("s", true), std::invalid_argument);
  CHECK_THROWS_AS(boot.get<std::uint8_t>("f"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(boot.get<int>("none"), "option 'none' is missing", std::invalid_argument);
}

namespace {

// Made before the workers are forked, or in each of them.
struct Catalog {
  explicit Catalog(std::string text) : words(std::move(text)) {}
  Catalog(const Catalog&) = delete;
  ~Catalog() { story += "catalog gone "; }
  void before_fork() { story += "before "; }
  void after_fork() { throw std::runtime_error("after_fork threw"); }
  std::string words;
};
struct Library {
  static Catalog preload(const Boot& boot) {
    story += "preloaded ";
    return Catalog(boot.get("words", "none"));
  }
  explicit Library(const Boot& boot) : catalog(boot.preloaded<Catalog>()) {
    if (boot.get("broken", false)) throw std::runtime_error("no shelves");
  }
  ~Library() { story += "library gone "; }
  void stuck(const Request& request) { story += "stuck " + std::string(request.path()) + " "; }
  void slow(const Request& request) { story += "slow " + std::string(request.path()) + " "; }
  Response operator()(const Request&) { return Response::text(catalog.words); }
  Catalog& catalog;
};
Library make_library(const Boot& boot) { return Library(boot); }

constexpr PluginFacts library_facts{
    .name = "library",
    .options = {{.key = "words", .help = "what the catalog has", .required = true}, {.key = "broken"}}};
constexpr auto library_options = detail::option_list(library_facts);
constinit const narwhal_plugin library =
    detail::AbiAdapter<make_library, &library_facts>::plugin(library_facts, library_options.data());

}  // namespace

TEST_CASE("plugin: what preload makes in the template is the worker's, and is deleted by the template") {
  const Options options{{{"words", "a b"}}};
  story.clear();
  narwhal_boot boot = fake::boot();
  void* preloaded = nullptr;
  REQUIRE(library.preload(&boot, &preloaded) == NARWHAL_OK);
  library.before_fork(preloaded);
  fake::log_lines.clear();
  library.after_fork(preloaded);
  CHECK(fake::log_lines == std::vector<std::string>{"after_fork(): after_fork threw"});
  void* instance = preloaded;
  REQUIRE(library.worker_init(&boot, &instance) == NARWHAL_OK);
  const auto exchange = fake::exchange({});
  CHECK(library.handle(instance, exchange.get()) == NARWHAL_OK);
  CHECK(exchange->body == "a b");
  library.worker_exit(instance);
  CHECK(story == "preloaded before library gone ");
  library.template_exit(preloaded);
  CHECK(story == "preloaded before library gone catalog gone ");
}

TEST_CASE("plugin: without the template's call, each worker makes and deletes its own") {
  const Options options{{{"words", "c"}}};
  story.clear();
  {
    Worker worker(library);
    REQUIRE(worker.boot_code() == NARWHAL_OK);
    CHECK(worker.ask({}).body == "c");
  }
  CHECK(story == "preloaded library gone catalog gone ");
  story.clear();
  const Options broken{{{"words", "c"}, {"broken", "yes"}}};
  const Worker worker(library);
  CHECK(fake::boot_failure == "no shelves");
  CHECK(story == "preloaded catalog gone ");
}

TEST_CASE("plugin: a required option without a value ends the set-up before any hook, with its help") {
  CHECK(library.options[0].flags == NARWHAL_REQUIRED);
  CHECK(library.options[1].flags == 0);
  const Worker worker(library);
  CHECK(worker.boot_code() == NARWHAL_ERROR);
  CHECK(fake::boot_failure == "'words' is missing: what the catalog has");
}

TEST_CASE("plugin: stuck and slow get the request") {
  const Options options{{{"words", "c"}}};
  Worker worker(library);
  const auto exchange = fake::exchange({.target = "/x"});
  story.clear();
  library.stuck(worker.instance(), exchange.get());
  library.slow(worker.instance(), exchange.get());
  CHECK(story == "stuck /x slow /x ");
  CHECK((shop.stuck == nullptr));
  CHECK((shop.slow == nullptr));
  CHECK((shop.preload == nullptr));
  CHECK((shop.before_fork == nullptr));
  CHECK((shop.template_exit == nullptr));
}

TEST_CASE("plugin: an app without preload has nothing preloaded; workers and listener are what the server says") {
  narwhal_boot c_boot = fake::boot();
  c_boot.workers = 4;
  CHECK_THROWS_AS(Boot(&c_boot).preloaded<Catalog>(), std::logic_error);
  CHECK(Boot(&c_boot).workers() == 4);
  c_boot.struct_size = offsetof(narwhal_boot, workers);
  CHECK(Boot(&c_boot).workers() == 0);
  const auto exchange = fake::exchange({});
  exchange->request.listener = {"::1", 3};
  exchange->request.listener_port = {"8000", 4};
  CHECK(Request(&fake::host, exchange.get()).listener() == "::1");
  CHECK(Request(&fake::host, exchange.get()).listener_port() == "8000");
  exchange->request.struct_size = offsetof(narwhal_request, listener);
  CHECK(Request(&fake::host, exchange.get()).listener().empty());
}

TEST_CASE("worker: files are watched and the worker is replaced where the server can") {
  const auto original = fake::host.watch;
  fake::host.watch = [](narwhal_bytes path) -> int { return path.data[0] == '/' ? NARWHAL_OK : NARWHAL_REFUSED; };
  const int asked = fake::replacements_asked;
  const narwhal_boot boot = fake::boot();
  void* instance = nullptr;
  REQUIRE(plugin_under_test.worker_init(&boot, &instance) == NARWHAL_OK);  // sets the host
  CHECK(watch_file("/srv/rules.json"));
  CHECK_THROWS_AS(watch_file("rules.json"), std::invalid_argument);
  replace_worker();
  CHECK(fake::replacements_asked == asked + 1);
  CHECK_FALSE(left_at_once());
  fake::host.struct_size = offsetof(narwhal_host, log_text);
  CHECK_FALSE(watch_file("/srv/rules.json"));
  replace_worker();
  CHECK(fake::replacements_asked == asked + 1);
  fake::host.struct_size = sizeof(narwhal_host);
  fake::host.watch = original;
  plugin_under_test.worker_exit(instance);
}
