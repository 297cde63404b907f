// plugins/static as a whole, in the harness for plugins.
#include <doctest/doctest.h>

#include <filesystem>
#include <map>
#include <narwhal/testing.hpp>
#include <string>
#include <utility>

#include "tests/support/folder.hpp"

namespace {

using narwhal::testing::Answer;
using narwhal::testing::Worker;

using Options = std::map<std::string, std::string>;

struct Site {
  explicit Site(Options more = {}) : options(std::move(more)) {
    folder.write("index.html", "home");
    folder.write("sub/page.html", "page");
    options.emplace("folder", folder.path());
  }
  narwhal::testing::Settings settings(std::string prefix = "") const {
    return {.options = {options.begin(), options.end()}, .prefix = std::move(prefix)};
  }
  narwhal::Folder folder;
  Options options;
};

}  // namespace

TEST_CASE("static: a file small enough is one respond(), a large one is sent by the host; HEAD sends neither") {
  Site site;
  const std::string large(40'000, 'x');
  site.folder.write("large.bin", large);
  Worker worker(narwhal_plugin_v1, site.settings());
  CHECK(worker.get("/sub/page.html").body == "page");
  CHECK(worker.get("/large.bin").body == large);
  const Answer head = worker.send({.method = "HEAD", .target = "/large.bin"});
  CHECK(head.status == 200);
  CHECK(head.body.empty());
  CHECK(worker.send({.method = "POST", .target = "/large.bin"}).status == 405);
}

TEST_CASE("static: a redirect keeps the mount's prefix and the query") {
  const Site site(Options{{"index", "index.html"}});
  Worker worker(narwhal_plugin_v1, site.settings("/app"));
  CHECK(worker.get("/app?a=1").header("Location") == "/app/?a=1");
  CHECK(worker.get("/app/sub?a=1").header("Location") == "/app/sub/?a=1");
  CHECK(worker.get("/app/").body == "home");
  CHECK(worker.get("/app%2F..%2Fx").status == 404);
}

TEST_CASE("static: what the options say wrong is the reason why the worker does not boot") {
  const std::pair<Options, const char*> mistakes[] = {
      {{{"folder", ""}}, "option 'folder' is empty: name the folder to serve"},
      {{{"index", "a/b"}}, "option 'index': 'a/b' is not the name of a file: give names alone"},
      {{{"types", "x=y"}}, "option 'types': 'x=y' is not ENDING=TYPE: write it as in glb=model/gltf-binary"},
      {{{"max_age", "-2"}}, "option 'max_age': '-2' is below 0: give a number of seconds"},
      {{{"fallback", "../x"}}, "option 'fallback': '../x' is not the path of a file in the folder"}};
  for (const auto& [options, reason] : mistakes) {
    CAPTURE(reason);
    const Site site(options);
    Worker worker(narwhal_plugin_v1, site.settings());
    CHECK(worker.boot_error().find(reason) != std::string::npos);
  }
}

TEST_CASE("static: pages that a deployment has taken away are only missing") {
  const Site site(Options{{"fallback", "index.html"}, {"not_found", "sub/page.html"}});
  Worker worker(narwhal_plugin_v1, site.settings());
  CHECK(worker.get("/none").body == "home");
  std::filesystem::remove(site.folder.path("index.html"));
  CHECK(worker.get("/none").body == "page");
  CHECK(worker.get("/none").status == 404);
  std::filesystem::remove_all(site.folder.path("sub"));
  CHECK(worker.get("/none").body == "Not Found\n");
}
