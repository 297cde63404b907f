// The plugins of tests/plugins, as they were built beside this program, loaded into it.
#include "worker/plugin.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>

#include "core/plugin_text.hpp"
#include "tests/support/folder.hpp"
#include "worker/plugin_options.hpp"

using namespace narwhal;
using namespace narwhal::worker;

namespace {

std::string plugin_file(const std::string& name) {
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const std::string file = (here / "plugins" / (name + ".so")).string();
  REQUIRE_MESSAGE(std::filesystem::exists(file), "build the plugins of tests/plugins first: ", file);
  return file;
}

// A generation of these copies, called as an operator would know them.
struct Site {
  void mount(const std::string& prefix, const std::string& copy, const std::string& source, Options options = {}) {
    generation.plugins.push_back({source, copy, ""});
    generation.config.routes.push_back({prefix, source, std::move(options)});
  }
  Result<std::vector<std::unique_ptr<Mount>>> load() {
    steps.clear();
    return load_plugins(generation, [this](std::string_view step) { steps.emplace_back(step); });
  }

  Generation generation;
  std::vector<std::string> steps;
};

std::string error_of(const std::string& copy, const std::string& source, Options options = {}) {
  Site site;
  site.mount("", copy, source, std::move(options));
  const auto loaded = site.load();
  REQUIRE_FALSE(loaded);
  return loaded.error();
}

std::string option_error(const std::string& key, const std::string& value) {
  return error_of(plugin_file("two_mounts"), "shop.so", {{key, value}});
}

bool option_is_fine(const std::string& key, const std::string& value) {
  Site site;
  site.mount("", plugin_file("two_mounts"), "shop.so", {{key, value}});
  return static_cast<bool>(site.load());
}

}  // namespace

TEST_CASE("plugin: one file mounted twice is loaded once and initialised twice") {
  Site site;
  site.mount("/a", plugin_file("two_mounts"), "shop.so", {{"say", "one"}});
  site.mount("/b", plugin_file("two_mounts"), "shop.so");
  auto mounts = or_throw(site.load());
  CHECK(site.steps == std::vector<std::string>{"load shop.so"});
  REQUIRE(mounts.size() == 2);
  CHECK(mounts[0]->prefix == "/a");
  CHECK(mounts[1]->prefix == "/b");
  CHECK(mounts[0]->route == 0);
  CHECK(mounts[1]->route == 1);
  CHECK((mounts[0]->plugin.handle == mounts[1]->plugin.handle));
  for (auto& mount : mounts) REQUIRE(worker_init(*mount, {0, 1, 1}));
  CHECK(mounts[0]->instance != mounts[1]->instance);
  for (auto& mount : mounts) mount->plugin.worker_exit(mount->instance);
}

TEST_CASE("plugin: a file that is not a shared object is refused with the name the operator gave it") {
  const Folder folder;
  const std::string text = folder.write("copy-of-app.so", "this is text\n");
  const std::string said = error_of(text, "./app.so");
  CHECK(said.starts_with("load ./app.so: "));
  CHECK(said.find("copy-of-app") == std::string::npos);  // the private copy's name tells nobody anything
  CHECK(error_of(folder.path("missing.so"), "./app.so").starts_with("load ./app.so: "));
}

// What ends between its headers and its segments never gets here: staging judges the bytes before dlopen() maps them.
TEST_CASE("plugin: one that ends before its first header does is refused") {
  const Folder folder;
  const std::string whole = read_all(plugin_file("two_mounts"));
  for (const std::size_t size : {std::size_t{0}, std::size_t{10}, std::size_t{63}}) {
    CAPTURE(size);
    const std::string cut = folder.write("cut" + std::to_string(size) + ".so", whole.substr(0, size));
    CHECK(error_of(cut, "./cut.so").starts_with("load ./cut.so: "));
  }
}

TEST_CASE("plugin: a missing or unresolved symbol is refused by name") {
  for (const char* name : {"no_symbol", "wrong_major"})
    CHECK(error_of(plugin_file(name), "./app.so") == std::string("load ./app.so: ") + no_plugin_text);
  const std::string said = error_of(plugin_file("undefined_symbol"), "./app.so");
  CHECK(said.starts_with("load ./app.so: "));
  CHECK(said.find("undefined symbol") != std::string::npos);
}

TEST_CASE("plugin: one of an earlier minor version works with what it has, and nothing behind its end is looked at") {
  Site site;
  site.mount("", plugin_file("past_minor"), "old.so");
  auto mounts = or_throw(site.load());
  const narwhal_plugin& plugin = mounts[0]->plugin;
  CHECK((plugin.handle != nullptr));
  CHECK((plugin.drain == nullptr));  // what lies there is not part of it
  CHECK((plugin.worker_exit == nullptr));
  CHECK((plugin.cancel == nullptr));
}

TEST_CASE("plugin: one of a later minor version works with what this server knows") {
  Site site;
  site.mount("", plugin_file("future_minor"), "new.so");
  auto mounts = or_throw(site.load());
  CHECK((mounts[0]->plugin.handle != nullptr));
  CHECK_FALSE(mounts[0]->is_inline());  // its unknown flag means nothing here
  CHECK_FALSE(mounts[0]->streams_body());
}

TEST_CASE("plugin: an option nobody knows is an error with the nearest one, or with those that are known") {
  CHECK(option_error("sya", "hello") == "options of shop.so: unknown option 'sya': did you mean 'say'?");
  CHECK(option_error("greeting", "hello") ==
        "options of shop.so: unknown option 'greeting': it knows say, times, loud, volume");
  CHECK(error_of(plugin_file("slow"), "slow.so", {{"speed", "1"}}) ==
        "options of slow.so: unknown option 'speed': it has none");
}

TEST_CASE("plugin: an option of the wrong type is an error with its value") {
  CHECK(option_error("times", "many") == "options of shop.so: times: 'many' is not of type int: a whole number");
  for (const char* wrong : {"", " 1", "1 ", "1.5", "0x10", "99999999999999999999", "+1"}) {
    CAPTURE(wrong);
    CHECK_FALSE(option_is_fine("times", wrong));
  }
  for (const char* right : {"0", "-17", "9223372036854775807"}) CHECK(option_is_fine("times", right));
  for (const char* wrong : {"", "1,5", "half", "1.5x"}) CHECK_FALSE(option_is_fine("volume", wrong));
  for (const char* right : {"0", "-1.5", "1e3", "3."}) CHECK(option_is_fine("volume", right));
  for (const char* wrong : {"", "y", "2", "maybe", "true "}) CHECK_FALSE(option_is_fine("loud", wrong));
  for (const char* right : {"true", "yes", "on", "1", "false", "no", "off", "0", "True", "NO"})
    CHECK(option_is_fine("loud", right));
  CHECK(option_error("loud", "maybe") == "options of shop.so: loud: 'maybe' is not of type bool: true or false");
  for (const char* right : {"", "anything", "\n"}) CHECK(option_is_fine("say", right));
}

TEST_CASE("plugin: a mistake in an option begins with the place where it is written") {
  static const narwhal_option options[] = {
      {"say", "string", nullptr, "what to say", NARWHAL_REQUIRED}, {"times", "int", "1", nullptr, 0}, {}};
  narwhal_plugin plugin{};
  plugin.options = options;
  const OptionPlaces places{"n.yaml:2:1", {{"times", "n.yaml:3:3"}, {"sya", "--option"}}};
  const auto fault = [&](const Options& given, const OptionPlaces& written) {
    const Result<Done> checked = check_options(plugin, "shop.so", given, written);
    return checked ? std::string() : checked.error();
  };
  CHECK(fault({{"say", "hi"}, {"times", "2"}}, places).empty());
  CHECK(fault({{"say", "hi"}, {"times", "x"}}, places) ==
        "n.yaml:3:3: options of shop.so: times: 'x' is not of type int: a whole number");
  CHECK(fault({{"sya", "hi"}}, places) == "--option: options of shop.so: unknown option 'sya': did you mean 'say'?");
  const std::string missing =
      "options of shop.so: 'say' is missing: what to say (set it in the application's 'options', or at \"/\" by "
      "--option say=VALUE)";
  CHECK(fault({}, places) == "n.yaml:2:1: " + missing);
  CHECK(fault({}, {}) == missing);
  CHECK(fault({}, {"n.yaml:2:1", {{"say", "--option"}}}) == "--option: " + missing);  // --option say=
  CHECK(fault({{"x", "hi"}}, places) == "options of shop.so: unknown option 'x': it knows say, times");
}

TEST_CASE("plugin: a bool reaches the plugin as true or false, whichever word was written") {
  static const narwhal_option options[] = {
      {"loud", "bool", "Yes", nullptr, 0}, {"say", "string", nullptr, nullptr, 0}, {}};
  narwhal_plugin plugin{};
  plugin.options = options;
  const auto got = [&](const Options& given, const char* key) {
    const narwhal_bytes value = option_value(plugin, given, key);
    return value.data == nullptr ? std::string("(null)") : std::string(value.data, value.size);
  };
  for (const char* yes : {"yes", "ON", "1", "true"}) CHECK(got({{"loud", yes}}, "loud") == "true");
  for (const char* no : {"no", "Off", "0", "false"}) CHECK(got({{"loud", no}}, "loud") == "false");
  CHECK(got({}, "loud") == "true");
  CHECK(got({{"say", "yes"}}, "say") == "yes");
  CHECK(got({{"say", ""}}, "say").empty());
  CHECK(got({}, "say") == "(null)");
}

TEST_CASE("plugin: an application without a path whose options are wrong says that it was taken for a Python module") {
  Site site;
  site.mount("", plugin_file("two_mounts"), "oops", {{"greeting", "x"}});
  site.generation.config.routes.front().plugin = "wsgi.so";
  site.generation.config.routes.front().option_places.each = {{"greeting", "narwhal.yaml:3:3"}};
  const auto loaded = site.load();
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error() ==
        "narwhal.yaml:3:3: options of oops: unknown option 'greeting': it knows say, times, loud, volume (no plugin is "
        "called 'oops': it was taken for a Python module; write a plugin with its path, as in ./oops.so)");
}

TEST_CASE("plugin: options are checked before any code of the plugin runs, in every mount") {
  Site site;
  site.mount("/a", plugin_file("two_mounts"), "shop.so");
  site.mount("/b", plugin_file("two_mounts"), "shop.so", {{"times", "x"}});
  const auto loaded = site.load();
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error() == "options of shop.so: times: 'x' is not of type int: a whole number");
}

TEST_CASE("plugin: set-up that fails says which hook of which plugin, and the plugin's own reason") {
  Site site;
  site.mount("", plugin_file("init_fails"), "a.so");
  site.mount("/b", plugin_file("ready_check_fails"), "b.so");
  site.mount("/c", plugin_file("preloads"), "c.so");
  auto mounts = or_throw(site.load());
  const BootInfo info{3, 2, 4, 7};
  CHECK(worker_init(*mounts[0], info).error() == "worker_init of a.so: init fails on purpose");
  CHECK(worker_init(*mounts[1], info));
  CHECK(ready_check(*mounts[1], info).error() == "ready_check of b.so: the self-check fails on purpose");
  CHECK(preload(*mounts[2], info).error() == "preload of c.so: preload outside of the template");
  CHECK(preload(*mounts[2], {-1, 2, 4, 7}));
  CHECK(mounts[2]->instance != nullptr);
  CHECK(worker_init(*mounts[2], info));  // finds what preload left
  CHECK(ready_check(*mounts[2], info));  // it has none: that is fine
}

TEST_CASE("plugin: a missing application and a failed set-up have different exit codes") {
  Mount mount;
  mount.source = "shop:app";
  mount.plugin = {};
  mount.plugin.worker_init = [](const narwhal_boot*, void**) { return NARWHAL_NO_APP; };
  mount.plugin.preload = mount.plugin.worker_init;
  mount.plugin.ready_check = [](const narwhal_boot*, void*) { return NARWHAL_ERROR; };
  CHECK(worker_init(mount, {}).exit_code == 4);
  CHECK(worker_init(mount, {}).error() == "worker_init of shop:app: the plugin gave no reason");
  CHECK(preload(mount, {}).exit_code == 4);
  CHECK(ready_check(mount, {}).exit_code == 3);
  mount.plugin.worker_init = [](const narwhal_boot*, void**) {
    return -99;
  };  // no code of ours: an error like any other
  CHECK(worker_init(mount, {}).exit_code == 3);
}

TEST_CASE("plugin: what a hook can read about its mount and its worker") {
  static std::string seen;
  static const narwhal_option options[] = {
      {"given", "string", "fallback", "", 0}, {"left", "int", "17", "", 0}, {"bare", "string", nullptr, "", 0}, {}};
  Mount mount;
  mount.prefix = "/shop";
  mount.source = "shop.so";
  mount.plugin = {};
  mount.plugin.options = options;
  mount.options = {{"given", "of the file"}};
  mount.plugin.worker_init = [](const narwhal_boot* boot, void**) {
    const auto option = [boot](const char* key) {
      const narwhal_bytes value = boot->option(boot, key);
      return value.data == nullptr ? std::string("(null)") : std::string(value.data, value.size);
    };
    seen = std::string(boot->prefix.data, boot->prefix.size) + " " + std::to_string(boot->worker) + " " +
           std::to_string(boot->threads) + " " + std::to_string(boot->generation) + " " + option("given") + "," +
           option("left") + "," + option("bare") + "," + option("unknown");
    const char reason[] = "with a\0NUL";
    boot->fail(boot, {reason, sizeof reason - 1});
    return NARWHAL_ERROR;
  };
  const Result<Done> done = worker_init(mount, {3, 2, 4, 7});
  CHECK(seen == "/shop 3 2 7 of the file,17,(null),(null)");
  REQUIRE_FALSE(done);
  CHECK(done.error() == std::string("worker_init of shop.so: with a\0NUL", 34));
  mount.plugin.worker_init = [](const narwhal_boot*, void**) { return NARWHAL_ERROR; };
  CHECK(worker_init(mount, {}).error() == "worker_init of shop.so: the plugin gave no reason");
}

TEST_CASE("plugin: worker_init sets the flags of its own mount, in the place of the plugin's") {
  Site site;
  site.mount("/a", plugin_file("sets_flags"), "flags.so", {{"flags", "0"}});
  site.mount("/b", plugin_file("sets_flags"), "flags.so", {{"flags", "3"}});
  site.mount("/c", plugin_file("sets_flags"), "flags.so");
  auto mounts = or_throw(site.load());
  for (auto& mount : mounts) {
    CHECK(mount->streams_body());  // as its table says
    REQUIRE(worker_init(*mount, {0, 1, 1, 1}));
    CHECK(ready_check(*mount, {0, 1, 1, 1}));
  }
  CHECK_FALSE(mounts[0]->streams_body());
  CHECK_FALSE(mounts[0]->is_inline());
  CHECK(mounts[1]->streams_body());
  CHECK(mounts[1]->is_inline());
  CHECK(mounts[2]->streams_body());
  CHECK_FALSE(mounts[2]->is_inline());
}

TEST_CASE("plugin: flags that nobody knows, or set at another time, end the set-up whatever the hook returns") {
  const auto said = [](const Options& options, auto hook) {
    Site site;
    site.mount("", plugin_file("sets_flags"), "flags.so", options);
    auto mounts = or_throw(site.load());
    const HookResult result = hook(*mounts[0], BootInfo{});
    CHECK(mounts[0]->plugin.flags == NARWHAL_STREAM_BODY);
    CHECK(result.exit_code == 3);
    return result ? std::string() : result.error();
  };
  CHECK(said({{"flags", "6"}}, worker_init) ==
        "worker_init of flags.so: set_flags() with a flag that this server does not know");
  CHECK(said({{"at", "preload"}, {"flags", "0"}}, preload) ==
        "preload of flags.so: set_flags() was called, which only worker_init may do");
  CHECK(said({{"at", "ready_check"}, {"flags", "0"}}, ready_check) ==
        "ready_check of flags.so: set_flags() was called, which only worker_init may do");
}
