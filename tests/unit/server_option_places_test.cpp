// Where the options of plugins are written, for messages about them.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/start_folder.hpp"

using namespace narwhal;
using namespace narwhal::server;

TEST_CASE("load: where each option is written, and where the options or the application are") {
  const StartFolder start;
  using Words = std::vector<std::string>;
  const auto places = [&](const Words& words) { return start.good(words).config.routes.back().option_places; };
  const auto check = [&](const Words& words, const std::string& all, const Options& each) {
    CHECK(places(words).all == all);
    CHECK(places(words).each == each);
  };
  check({"a"}, "", {});
  check({"a", "--option", "k=v"}, "", {{"k", "--option"}});
  start.write("narwhal.yaml", "app: a\nworkers: 2\noptions:\n  k: v\n  l: w\n");
  check({}, "narwhal.yaml:3:1", {{"k", "narwhal.yaml:4:3"}, {"l", "narwhal.yaml:5:3"}});
  check({"b"}, "narwhal.yaml:3:1", {{"k", "narwhal.yaml:4:3"}, {"l", "narwhal.yaml:5:3"}});
  check({"--option", "k=new"}, "narwhal.yaml:3:1", {{"l", "narwhal.yaml:5:3"}, {"k", "--option"}});
  start.write("narwhal.yaml", "options: {k: v}\napp: a\n");
  check({}, "narwhal.yaml:1:1", {{"k", "narwhal.yaml:1:11"}});
  start.write("narwhal.yaml", "workers: 2\napp: a\n");
  check({}, "narwhal.yaml:2:1", {});
  check({"b"}, "", {});
  start.write("narwhal.yaml", "routes:\n  - prefix: /x\n    app: a\n    options:\n      k: v\n");
  check({}, "narwhal.yaml:4:5", {{"k", "narwhal.yaml:5:7"}});
  start.write("narwhal.yaml", "routes:\n  - prefix: /x\n    app: a\n");
  check({}, "narwhal.yaml:2:5", {});
}
