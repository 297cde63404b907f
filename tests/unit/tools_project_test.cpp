// What narwhal-plugin makes and reads: projects, requests, options.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "tests/support/folder.hpp"
#include "tools/call.hpp"
#include "tools/flags.hpp"
#include "tools/plugin_options.hpp"
#include "tools/process.hpp"
#include "tools/project.hpp"
#include "tools/source_watch.hpp"

using namespace narwhal;
using namespace narwhal::tools;

TEST_CASE("project: new makes every file, with the name in it and no mark left") {
  const Folder folder;
  REQUIRE(make_project(folder.path("my-shop"), Language::cpp));
  REQUIRE(make_project(folder.path("in_c/"), Language::c));
  REQUIRE(make_project(folder.path("in_rust"), Language::rust));
  for (const char* file : {"my-shop/my-shop.cpp", "my-shop/my-shop_test.cpp", "in_c/in_c.c", "in_c/in_c_test.c",
                           "in_c/Makefile", "in_rust/in_rust.rs", "in_rust/narwhal.rs", "in_rust/Makefile",
                           "in_c/narwhal.yaml", "in_c/README.md", "in_c/.gitignore"}) {
    INFO(file);
    const std::string text = read_all(folder.path(file));
    CHECK_FALSE(text.empty());
    for (const char* mark : {"@name@", "@suffix@", "@language@", "@compiler@", "@options@"})
      CHECK(text.find(mark) == text.npos);
  }
  CHECK(read_all(folder.path("my-shop/my-shop.cpp")).find(".name = \"my-shop\"") != std::string::npos);
}

TEST_CASE("project: a name that is none, and a folder that is there, are refused") {
  const Folder folder;
  for (const char* name : {"Shop", "1shop", "a b", "shop;rm", "sh\xc3\xb6p"}) {
    INFO(name);
    const Result<Done> made = make_project(folder.path(name), Language::cpp);
    REQUIRE_FALSE(made);
    CHECK(made.error().find("is not a name for a plugin") != std::string::npos);
  }
  REQUIRE(make_project(folder.path("shop"), Language::cpp));
  CHECK(make_project(folder.path("shop"), Language::cpp).error() ==
        "make the folder " + folder.path("shop") + ": File exists");
  CHECK(make_project(folder.path("none/shop"), Language::cpp).error() ==
        "make the folder " + folder.path("none/shop") + ": No such file or directory");
}

TEST_CASE("call: a request, options and fields are read from words") {
  Call call;
  REQUIRE(read_request_line("POST /a?b=c d", call));
  CHECK(call.method == "POST");
  CHECK(call.target == "/a?b=c d");
  Call get;
  REQUIRE(read_request_line("/a", get));
  CHECK(get.method == "GET");
  CHECK(get.target == "/a");
  for (const char* text : {"", "a", "GET", "GET a", " /a"}) {
    INFO(text);
    CHECK_FALSE(read_request_line(text, call));
  }
  CHECK(or_throw(read_option("a=b=c")) == std::pair<std::string, std::string>{"a", "b=c"});
  CHECK_FALSE(read_option("a"));
  CHECK_FALSE(read_option("=a"));
  CHECK(or_throw(read_header("A: b:c")) == std::pair<std::string, std::string>{"A", "b:c"});
  CHECK(or_throw(read_header("A:")) == std::pair<std::string, std::string>{"A", ""});
  CHECK_FALSE(read_header("A"));
}

TEST_CASE("options: those of the application at / are read from what --print-config writes") {
  const std::string settings =
      "app: /srv/shop.so                                 # APP\n"
      "options:\n"
      "  greeting: \"Hej \\\"du\\\" \\\\ \\x0a\"\n"
      "  \"a key\": plain\n"
      "  empty: \"\"\n"
      "routes:                                           # n.yaml:3\n"
      "  - prefix: /other\n"
      "    app: other\n"
      "    options:\n"
      "      greeting: no\n"
      "bind:                                             # default\n"
      "  - \"127.0.0.1:8000\"\n";
  CHECK(printed_options(settings) == Pairs{{"greeting", "Hej \"du\" \\ \n"}, {"a key", "plain"}, {"empty", ""}});
  const std::string route = "  - prefix: /\n    app: a\n    timeout: 3\n    options:\n      k: v\n";
  const std::string hosts = "  - prefix: /\n    host:\n      - a.example\n    app: b\n    options:\n      k: w\n";
  CHECK(printed_options("app: null  # default\nroutes:\n" + hosts + route) == Pairs{{"k", "v"}});
  CHECK(printed_options("app: a  # n.yaml:1\nroutes: []  # default\n").empty());
}

TEST_CASE("options: a required one that is missing is named, with the ways to set it") {
  DeclaredPlugin plugin;
  plugin.options.resize(2);
  plugin.options[0].key = "folder";
  plugin.options[0].help = "of the files";
  plugin.options[0].required = true;
  plugin.options[1].key = "limit";
  CHECK(check_names(plugin, "a.so", {{"folder", ""}}));
  CHECK(check_names(plugin, "a.so", {{"limit", "1"}}).error() ==
        "options of a.so: 'folder' is missing: of the files (set it under 'options' in narwhal.yaml, or by -o "
        "folder=VALUE)");
}

TEST_CASE("shell words: what a shell would change is quoted") {
  CHECK(shell_word("./shop.so") == "./shop.so");
  CHECK(shell_word("GET /a?b") == "'GET /a?b'");
  CHECK(shell_word("it's") == "'it'\\''s'");
  CHECK(shell_word("") == "''");
}

TEST_CASE("flags: what a compiler needs names the headers, but not a folder that it searches by itself") {
  Places places;
  places.includes = "/opt/include";
  places.testing_library = "/opt/lib/libnarwhal-testing.a";
  CHECK(compile_flags(places, Language::cpp) == "-std=c++20 -fPIC -fvisibility=hidden -I/opt/include");
  CHECK(or_throw(test_link_flags(places, Language::c)) == "/opt/lib/libnarwhal-testing.a -lstdc++ -pthread -ldl");
  CHECK(or_throw(test_link_flags(places, Language::rust)) == "-L native=/opt/lib -l static=narwhal-testing -l stdc++");
  CHECK(or_throw(test_link_flags(places, Language::cpp)) == "-pthread -ldl");
  places.testing_library.clear();
  CHECK_FALSE(test_link_flags(places, Language::c));
  places.includes = "/usr/include";
  CHECK(compile_flags(places, Language::c) == "-std=c11 -fPIC -fvisibility=hidden");
}

TEST_CASE("source watch: sources that are written, renamed, removed or in new folders; nothing else") {
  const Folder folder;
  std::filesystem::create_directory(folder.path("build"));
  folder.write("a.cpp", "1");
  SourceWatch watch = or_throw(SourceWatch::open(folder.path("")));
  CHECK_FALSE(watch.has_changed());
  const auto seen = [&](auto change) {
    change();
    return watch.has_changed();
  };
  CHECK(seen([&] { folder.write("a.cpp", "2"); }));
  CHECK_FALSE(watch.has_changed());
  CHECK(seen([&] { folder.write("Makefile", "2"); }));
  CHECK_FALSE(seen([&] { folder.write("notes.txt", "2"); }));
  CHECK_FALSE(seen([&] { folder.write("build/a.cpp", "2"); }));
  CHECK(seen([&] { std::filesystem::rename(folder.path("notes.txt"), folder.path("b.hpp")); }));
  CHECK(seen([&] { std::filesystem::remove(folder.path("b.hpp")); }));
  CHECK(seen([&] { std::filesystem::create_directory(folder.path("src")); }));
  CHECK(seen([&] { folder.write("src/c.c", "2"); }));
  const std::set<std::filesystem::path> written = watch.written();
  CHECK(written.contains(folder.path("a.cpp")));
  CHECK(written.contains(folder.path("src/c.c")));
  CHECK_FALSE(written.contains(folder.path("notes.txt")));
  watch.forget_written();
  CHECK(watch.written().empty());
}
