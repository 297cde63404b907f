// load_config: where values come from, which one wins, and what the exit code is when one is wrong.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "server/config/python_process.hpp"
#include "server/config/setting_values.hpp"
#include "server/config/settings.hpp"
#include "tests/support/start_folder.hpp"

using namespace narwhal;
using namespace narwhal::server;

TEST_CASE("load: an app alone is served with the defaults") {
  const StartFolder start;
  const LoadedConfig loaded = start.good({"./hello.so"});
  Config expected;
  expected.routes = {Route{"", start.path("hello.so"), {}}};
  expected.start_directory = start.environment.start_directory;
  CHECK(loaded.config == expected);
  CHECK(loaded.mode == Mode::serve);
  CHECK(loaded.text.empty());
  CHECK(origin(loaded, "app") == "command line");
  CHECK(origin(loaded, "workers") == "default");
}

TEST_CASE("load: each source wins over the one below it") {
  StartFolder start;
  CHECK(start.good({"a"}).config.workers == 1);
  start.environment.variables["WEB_CONCURRENCY"] = "2";
  CHECK(origin(start.good({"a"}), "workers") == "WEB_CONCURRENCY");
  CHECK(start.good({"a"}).config.workers == 2);
  start.write("narwhal.yaml", "timeout: 9\nworkers: 3\n");
  CHECK(origin(start.good({"a"}), "workers") == "narwhal.yaml:2");
  CHECK(start.good({"a"}).config.workers == 3);
  start.environment.variables["NARWHAL_CMD_ARGS"] = "-w 4 -n 'a b'";
  CHECK(origin(start.good({"a"}), "workers") == "NARWHAL_CMD_ARGS");
  CHECK(start.good({"a"}).config.workers == 4);
  CHECK(start.good({"a"}).config.proc_name == "a b");
  start.environment.variables["NARWHAL_SETTINGS"] = R"({"workers": 6, "raw_env": ["A=\"1\""]})";
  CHECK(origin(start.good({"a"}), "workers") == "NARWHAL_SETTINGS:1");
  CHECK(start.good({"a"}).config.workers == 6);
  CHECK(start.good({"a"}).config.raw_env.size() == 1);
  const LoadedConfig loaded = start.good({"a", "--workers=5"});
  CHECK(origin(loaded, "workers") == "command line");
  CHECK(loaded.config.workers == 5);
  CHECK(loaded.config.timeout == 9s);
}

TEST_CASE("load: PORT is the default bind, and -b replaces it as it replaces the file's list") {
  StartFolder start;
  start.environment.variables["PORT"] = "5000";
  CHECK(start.good({"a"}).config.bind == std::vector<Bind>{Bind{Bind::Kind::tcp, "0.0.0.0", 5000, "", -1}});
  start.write("narwhal.yaml", "bind: [a:1, b:2]");
  CHECK(start.good({"a"}).config.bind.size() == 2);
  const Config config = start.good({"a", "-b", "c:3", "--bind", "d:4", "--bind=e:5"}).config;
  REQUIRE(config.bind.size() == 3);
  CHECK(config.bind[2].host == "e");
}

TEST_CASE("load: every flag of every setting is understood") {
  const StartFolder start;
  for (const Setting& setting : settings()) {
    std::string flags(setting.flags);
    while (!flags.empty()) {
      const std::string flag = flags.substr(0, flags.find(','));
      flags = flags.size() == flag.size() ? "" : flags.substr(flag.size() + 1);
      std::vector<std::string> words{"a", flag};
      const std::vector<std::string> texts = value_texts(setting, Config{});
      if (!setting.is_switch())
        words.push_back(!texts.empty() ? texts.front() : setting.name == "admin_bind" ? "localhost:9000" : "A=1");
      const LoadedConfig loaded = start.good(words);
      INFO(flag);
      CHECK(origin(loaded, std::string(setting.name)) == "command line");
      if (!setting.is_switch()) continue;
      const bool on = value_texts(setting, loaded.config) == std::vector<std::string>{"true"};
      CHECK(on != flag.starts_with("--no-"));
      CHECK_FALSE(same_value(setting, loaded.config, Config{}));
    }
  }
}

TEST_CASE("load: a switch that the file turned on can be turned off again") {
  const StartFolder start;
  start.write("narwhal.yaml", "preload_app: true");
  CHECK(start.good({"a"}).config.preload_app);
  CHECK_FALSE(start.good({"a", "--preload=false"}).config.preload_app);
}

TEST_CASE("load: a flag that switches something off can be switched back, too") {
  const StartFolder start;
  start.write("narwhal.yaml", "request_buffering: false");
  CHECK_FALSE(start.good({"a"}).config.request_buffering);
  CHECK_FALSE(start.good({"a", "--no-request-buffering"}).config.request_buffering);
  CHECK(start.good({"a", "--no-request-buffering=false"}).config.request_buffering);
  CHECK_FALSE(start.good({"a", "--no-request-buffering=true"}).config.request_buffering);
}

TEST_CASE("load: a value may be empty, or begin with a dash") {
  const StartFolder start;
  start.write("narwhal.yaml", "server_header: shop\nerrorlog: x.log");
  CHECK(start.good({"--server-header=", "a"}).config.server_header == "");
  CHECK(start.good({"--server-header", "", "a"}).config.server_header == "");
  CHECK(start.good({"--log-file", "-", "--access-logfile=-", "a"}).config.errorlog == "-");
  CHECK(start.good({"-n", "-x", "a"}).config.proc_name == "-x");
  CHECK(start.good({"-w", "2", "--", "-a.so"}).config.routes.front().app == start.path("-a.so"));
}

TEST_CASE("load: APP replaces the file's root app and keeps its options and the other routes") {
  const StartFolder start;
  start.write("narwhal.yaml", "app: old\noptions: {k: v}\nroutes: [{prefix: /x, app: x}]");
  const std::vector<Route> routes = start.good({"new"}).config.routes;
  CHECK(routes == std::vector<Route>{{"/x", "x", {}}, {"", "new", {{"k", "v"}}}});
  start.write("narwhal.yaml", "routes: [{prefix: /, app: old, options: {k: v}}]");
  CHECK(start.good({"new"}).config.routes == std::vector<Route>{{"", "new", {{"k", "v"}}}});
  start.write("narwhal.yaml", "routes: [{host: a.example, app: kept}]");
  CHECK(start.good({"new"}).config.routes ==
        std::vector<Route>{{"", "kept", {}, "", {}, {}, {"a.example"}}, {"", "new", {}}});
  start.write("narwhal.yaml", "routes: [{prefix: /x, app: x}]");
  CHECK(start.good({}).config.routes.size() == 1);
  CHECK(start.good({"new"}).config.routes.size() == 2);
}

TEST_CASE("load: --option sets one option of the root app, in place of the file's") {
  const StartFolder start;
  using Words = std::vector<std::string>;
  const auto options = [&](const Words& words) { return start.good(words).config.routes.back().options; };
  CHECK(options({"a", "--option", "k=v", "--option=l=a=b"}) == Options{{"k", "v"}, {"l", "a=b"}});
  start.write("narwhal.yaml", "app: a\noptions: {k: v, l: w}\nroutes: [{prefix: /x, app: x, options: {k: x}}]");
  CHECK(options({"--option", "k=new"}) == Options{{"l", "w"}, {"k", "new"}});
  CHECK(options({"--option", "k=1", "--option", "k=2"}) == Options{{"l", "w"}, {"k", "2"}});
  CHECK(options({"--option", "k="}) == Options{{"l", "w"}});
  CHECK(start.good({"--option", "k=new"}).config.routes.front().options == Options{{"k", "x"}});
  start.write("narwhal.yaml", "routes: [{prefix: /, app: a, options: {k: v}}]");
  CHECK(options({"--option", "k=new"}) == Options{{"k", "new"}});
  start.write("narwhal.yaml", "routes: [{prefix: /x, app: x}]");
  CHECK(start.load(Words{"--option", "k=v"}).error() == "--option: no application at \"/\" could have the option 'k'");
  CHECK(start.load(Words{"a", "--option", "k"}).error() == "--option: 'k' is not KEY=VALUE");
  CHECK(start.load(Words{"a", "--option", "=v"}).error() == "--option: '=v' is not KEY=VALUE");
}

TEST_CASE("load: a plain name is an installed plugin, the first one of that name") {
  StartFolder start;
  start.environment.plugin_directories = {start.path("plugins"), start.path("lib")};
  start.write("lib/shop.so", "");
  start.write("lib/front.so", "");
  start.write("plugins/front.so", "");
  CHECK(start.good({"shop"}).config.routes.front().app == start.path("lib/shop.so"));
  CHECK(start.good({"front"}).config.routes.front().app == start.path("plugins/front.so"));
  CHECK(start.good({"nowhere"}).config.routes.front().app == start.path("lib/nowhere.so"));
}

TEST_CASE("load: a text with a colon and no slash before it is a Python application, which the plugin wsgi runs") {
  StartFolder start;
  start.environment.plugin_directories = {start.path("plugins"), start.path("lib")};
  LoadResult loaded = start.load({"web:app"});
  REQUIRE_FALSE(loaded);
  CHECK(loaded.exit_code == 1);
  CHECK(loaded.error() ==
        "app: 'web:app' is a Python application, but the plugin that runs it, wsgi-cpVERSION.so, is not in " +
            start.path("plugins") + " or " + start.path("lib") +
            ": install narwhal again, and restart the server if it runs");
  const std::string version = *version_of_python(*find_python("", {}));
  const std::string plugin = "lib/wsgi-cp3" + version.substr(version.find('.') + 1) + ".so";
  start.write(plugin, "");
  start.write("lib/shop.so", "");
  for (const char* app :
       {"web:app", "web_flask.0-hello_route:app", "a.b:create_app(\"/x.so\", key='y')", "nowhere", ":"}) {
    CAPTURE(app);
    const Route route = start.good({app}).config.routes.front();
    CHECK(route.app == app);
    CHECK(route.plugin == start.path(plugin));
  }
  for (const char* app : {"shop", "./web:app", "a/b:c", "web.so"}) {
    CAPTURE(app);
    CHECK(start.good({app}).config.routes.front().plugin.empty());
  }
  start.write("narwhal.yaml", "app: web:app\nroutes: [{prefix: /x, app: x:app}, {prefix: /shop, app: shop}]");
  const std::vector<Route> routes = start.good({}).config.routes;
  REQUIRE(routes.size() == 3);
  CHECK(routes[0].plugin.empty());
  CHECK(routes[1].plugin == start.path(plugin));
  CHECK(routes[2].plugin == start.path(plugin));
}

TEST_CASE("load: the version of a Python is in the name to which its links lead, or it is asked for it") {
  StartFolder start;
  start.environment.plugin_directories = {start.path("lib")};
  start.write("lib/wsgi-cp39.so", "");
  const auto program = [&](const std::string& name, const std::string& text) {
    start.write(name, text);
    std::filesystem::permissions(start.path(name), std::filesystem::perms::owner_all);
  };
  program("bin/python3.9", "");
  program("asked/bin/python", "#!/bin/sh\necho 3.9\n");
  program("other/bin/python", "#!/bin/sh\necho pypy\n");
  program("free/bin/python3.13t", "");
  program("asked-free/bin/python", "#!/bin/sh\necho 3.13t\n");
  std::filesystem::create_directories(start.path("venv/bin"));
  std::filesystem::create_symlink(start.path("bin/python3.9"), start.path("venv/bin/python"));
  std::filesystem::create_symlink(start.path("free/bin/python3.13t"), start.path("free/bin/python"));
  for (const char* venv : {"venv", "asked"}) {
    const Config config = start.good({"--venv", start.path(venv), "web:app"}).config;
    CHECK(config.python == start.path(venv) + "/bin/python");
    CHECK(config.routes.front().plugin == start.path("lib/wsgi-cp39.so"));
  }
  CHECK(start.load({"--venv", start.path("other"), "web:app"}).error().ends_with("does not run CPython 3: pypy"));
  for (const char* venv : {"free", "asked-free"})
    CHECK(start.load({"--venv", start.path(venv), "web:app"}).error().ends_with("without the GIL are not served yet"));
  std::filesystem::rename(start.path("lib/wsgi-cp39.so"), start.path("lib/wsgi-cp310.so"));
  CHECK(start.load({"--venv", start.path("venv"), "web:app"}).error() ==
        "app 'web:app': " + start.path("venv/bin/python") +
            " is Python 3.9, and there is no WSGI plugin for it (there is one for 3.10): build it (in narwhal's "
            "sources: meson setup build -Dpythons=" +
            start.path("venv/bin/python") + ", or " + start.path("venv/bin/python") +
            " -m pip install .), or name an environment of another version by --venv");
  CHECK(start.load({"--venv", start.path("venv"), "oops"})
            .error()
            .ends_with(
                " by --venv (no plugin is called 'oops': it was taken for a Python module; write a plugin with its "
                "path, as in ./oops.so)"));
}

TEST_CASE(
    "load: the virtual environment in which the program was called is the default, not the one to which its link "
    "leads") {
  StartFolder start;
  const auto venv = [&](const char* program) {
    const char* argv[] = {program, "a"};
    LoadResult loaded = load_config(2, argv, start.environment);
    REQUIRE(loaded);
    return loaded->config.venv;
  };
  start.write("venv/pyvenv.cfg", "");
  start.write("venv/bin/narwhal", "");
  start.write("elsewhere/narwhal", "");
  CHECK(venv("venv/bin/narwhal").empty());  // no python next to it
  start.write("elsewhere/python", "");
  for (const char* program : {"venv/bin/narwhal", "elsewhere/narwhal", "elsewhere/python"}) {
    std::filesystem::permissions(start.path(program), std::filesystem::perms::owner_all);
  }
  std::filesystem::create_symlink(start.path("elsewhere/python"), start.path("venv/bin/python"));
  std::filesystem::remove(start.path("venv/bin/narwhal"));
  std::filesystem::create_symlink(start.path("elsewhere/narwhal"), start.path("venv/bin/narwhal"));
  CHECK(venv("venv/bin/narwhal") == start.path("venv"));
  CHECK(venv("./venv/bin/../bin/narwhal") == start.path("venv"));
  CHECK(venv(start.path("venv/bin/narwhal").c_str()) == start.path("venv"));
  CHECK(venv("elsewhere/narwhal").empty());
  CHECK(venv("narwhal").empty());
  start.environment.variables["PATH"] = "/nowhere:" + start.path("venv/bin") + ":" + start.path("elsewhere");
  CHECK(venv("narwhal") == start.path("venv"));
  start.environment.variables["PATH"] = start.path("elsewhere") + ":" + start.path("venv/bin");
  CHECK(venv("narwhal").empty());
  start.write("narwhal.yaml", "venv: other");
  CHECK(venv("venv/bin/narwhal") == start.path("other"));
  CHECK(origin(start.good({"a"}), "venv") == "narwhal.yaml:1");
}

TEST_CASE("load: folders and extra files for Python are lists of absolute paths, however they are written") {
  const StartFolder start;
  using Paths = std::vector<std::string>;
  start.write("narwhal.yaml", "chdir: app\npythonpath: [lib, '/opt/x,y']\nreload_extra_files: 'templates/**/*.html'\n");
  const Config config = start.good({"a"}).config;
  CHECK(config.pythonpath == Paths{start.path("app/lib"), "/opt/x", start.path("app/y")});
  CHECK(config.reload_extra_files == Paths{start.path("app/templates/**/*.html")});
  CHECK(config.sources == Paths{start.path("narwhal.yaml")});
  const Config other =
      start.good({"a", "--pythonpath", "a,,/b", "--reload-extra-file", "x,y", "--reload-extra-file", "z"}).config;
  CHECK(other.pythonpath == Paths{start.path("app/a"), "/b"});
  CHECK(other.reload_extra_files == Paths{start.path("app/x,y"), start.path("app/z")});
  CHECK(start.good({"a", "--reload-engine", "poll"}).config.reload_engine == ReloadEngine::poll);
  CHECK(start.load({"a", "--reload-engine", "pol"}).error() ==
        "--reload-engine: 'pol' is not a reload engine: did you mean 'poll'?");
}

TEST_CASE("load: -c is relative to the start directory, whatever chdir is") {
  const StartFolder start;
  start.write("etc/shop.yaml", "app: ./shop.so\nchdir: app\npidfile: run/pid");
  const LoadedConfig loaded = start.good({"-c", "etc/shop.yaml"});
  CHECK(loaded.config.routes.front().app == start.path("app/shop.so"));
  CHECK(loaded.config.pidfile == start.path("app/run/pid"));
  CHECK(loaded.config.chdir == start.path("app"));
  CHECK(origin(loaded, "app") == "etc/shop.yaml:1");
  CHECK(start.good({"-c", start.path("etc/shop.yaml")}).config == loaded.config);
}

TEST_CASE("load: a second reading finds the same file with its new content") {
  const StartFolder start;
  start.write("narwhal.yaml", "app: a\nworkers: 2");
  CHECK(start.good({}).config.workers == 2);
  start.write("narwhal.yaml", "app: a\nworkers: 3");
  CHECK(start.good({}).config.workers == 3);
  start.write("narwhal.yaml", "app: a\nworkers: x");
  CHECK_FALSE(start.load({}));
}

TEST_CASE("load: faults of the command line end in 2, all others in 1, and all are reported") {
  StartFolder start;
  const auto refused = [&](const std::vector<std::string>& words, int exit_code, const std::string& text) {
    LoadResult loaded = start.load(words);
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error() == text);
    CHECK(loaded.exit_code == exit_code);
    CHECK(std::count(text.begin(), text.end(), '\n') + 1 == static_cast<std::ptrdiff_t>(loaded.faults.size()));
  };
  const std::string no_app =
      "no application: name one on the command line (narwhal ./app.so) or in narwhal.yaml (app, routes)";
  refused({}, 1, no_app);
  refused({"--check-config"}, 1, no_app);
  refused({"-c", "x.yaml", "a"}, 1, "x.yaml: there is no such file");
  refused({"-c", "/dev/null"}, 1, no_app);  // an empty file, as with Gunicorn
  CHECK(start.load({"-c", "/dev/null", "a"}));
  refused({"-c", "/dev/zero", "a"}, 1, "/dev/zero: is not a regular file");
  refused({"--bind", "shop.so"}, 1, no_app + "; 'shop.so' was taken for the address of --bind");
  refused({"-b", "unix:./shop.so"}, 1,
          no_app + "; '" + start.path("shop.so") + "' was taken for the address of --bind");
  refused({"-c", ".", "a"}, 1, start.path(".").substr(0, start.path(".").size() - 2) + ": is not a regular file");
  refused({"-c", "gunicorn.conf.py"}, 1, "gunicorn.conf.py: there is no such file");
  refused({"-w"}, 2, "--workers: needs a value");
  refused({"-w", "x", "a"}, 2, "--workers: 'x' is not a whole number");
  refused({"--wrokers", "4", "a"}, 2, "unknown flag '--wrokers': did you mean '--workers'?");
  refused({"--paste", "x", "--dirty-app=5", "a"}, 2,
          "'--paste' is a setting of Gunicorn that narwhal does not have: name the application as module:callable\n"
          "'--dirty-app' is a setting of Gunicorn that this version of narwhal does not have yet");
  refused({"a", "b"}, 2, "more than one APP: 'b' after 'a'; mount several with 'routes' in narwhal.yaml");
  refused({""}, 2, "APP is empty");
  refused({"--reload=", "a"}, 2, "--reload: the value is empty: leave out the '=', or give true or false");
  refused({"--preload=", "a"}, 2, "--preload: the value is empty: leave out the '=', or give true or false");
  refused({"--no-request-buffering="}, 2,
          "--no-request-buffering: the value is empty: leave out the '=', or give true or false");
  refused({"--check-config=x", "a"}, 2, "--check-config: does not take a value, but got 'x'");
  refused({"--version=3"}, 2, "--version: does not take a value, but got '3'");
  refused({"--help="}, 2, "--help: does not take a value, but got ''");
  start.write("narwhal.yaml", "worker: 1");
  refused({"-t", "-1", "a"}, 2,
          "narwhal.yaml:1:1: unknown key 'worker': did you mean 'workers'?\n"
          "--timeout: -1 is out of range: it must be 0 to 86400");
  start.write("narwhal.yaml", "");
  start.environment.variables["WEB_CONCURRENCY"] = "x";
  start.environment.variables["PORT"] = "99999";
  refused({"a"}, 1,
          "environment variable PORT: port '99999' is not a number from 0 to 65535; change it or unset it\n"
          "environment variable WEB_CONCURRENCY: 'x' is not a whole number");
  start.environment.variables = {{"NARWHAL_CMD_ARGS", "-w 'x"}};
  refused({"a"}, 2, "NARWHAL_CMD_ARGS: a quote is not closed");
  start.environment.variables = {{"NARWHAL_SETTINGS", "{\"workers\": \"x\"}"}};
  refused({"a"}, 1, "NARWHAL_SETTINGS:1:13: workers: 'x' is not a whole number");
  start.environment.variables = {{"NARWHAL_CMD_ARGS", "-w x"}};
  refused({"a"}, 2, "NARWHAL_CMD_ARGS: --workers: 'x' is not a whole number");
}

TEST_CASE("load: the faults of a file that is hardly ours are not listed line by line") {
  const StartFolder start;
  std::string yaml;
  for (int i = 0; i < 1000; ++i) yaml += "key" + std::to_string(i) + ": 1\n";
  start.write("narwhal.yaml", yaml);
  LoadResult loaded = start.load({"a"});
  REQUIRE_FALSE(loaded);
  CHECK(loaded.faults.size() == 51);
  CHECK(loaded.faults.back() == "and 950 more");
}

TEST_CASE("load: an unreadable file is reported, not skipped") {
  const StartFolder start;
  start.write("narwhal.yaml", "app: a");
  std::filesystem::remove(start.path("narwhal.yaml"));
  std::filesystem::create_symlink("narwhal.yaml", start.path("narwhal.yaml"));
  LoadResult loaded = start.load({"a"});
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error() == "open " + start.path("narwhal.yaml") + ": Too many levels of symbolic links");
}

TEST_CASE("load: --help, --version, --check-config and --print-config ask for something other than serving") {
  const StartFolder start;
  start.write("narwhal.yaml", "nonsense: 1");
  CHECK(start.good({"-h"}).mode == Mode::help);
  CHECK(start.good({"--nonsense", "--help"}).mode == Mode::help);
  CHECK(start.good({"-v"}).text == "narwhal (version 1.2.3)\n");
  CHECK(start.good({"--version"}).mode == Mode::version);
  start.write("narwhal.yaml", "");
  CHECK(start.good({"--check-config", "a"}).mode == Mode::check);
  CHECK(start.good({"--check-config", "a"}).text.empty());
  CHECK(start.good({"--print-config", "--check-config", "a"}).mode == Mode::print);
  CHECK(start.good({"--debug", "a"}).mode == Mode::debug);
  CHECK(start.good({"--debug", "--check-config", "a"}).mode == Mode::check);
  CHECK(start.good({"--print-config"}).mode == Mode::print);
}

TEST_CASE("--help: every setting has its line, and no line is too wide") {
  const StartFolder start;
  const std::string help = start.good({"--help"}).text;
  for (const Setting& setting : settings()) {
    INFO(std::string(setting.name));
    const std::string flag(long_flag(setting));
    CHECK((help.find(flag + " ") != std::string::npos));
    CHECK(help.find(std::string(setting.help)) != std::string::npos);
    if (!setting.flags.starts_with("--")) {
      CHECK(help.find("  " + std::string(setting.flags.substr(0, 2)) + ", " + flag) != std::string::npos);
    }
  }
  std::size_t begin = 0;
  for (std::size_t end; (end = help.find('\n', begin)) != std::string::npos; begin = end + 1) {
    INFO(help.substr(begin, end - begin));
    CHECK(end - begin <= 100);
  }
  CHECK(begin == help.size());
}

TEST_CASE("--help: no flag touches its help, however long it is") {
  const StartFolder start;
  const std::string help = start.good({"--help"}).text;
  for (const Setting& setting : settings()) {
    const std::string value = setting.metavar.empty() ? "" : " " + std::string(setting.metavar);
    const std::string flag = std::string(long_flag(setting)) + value;
    INFO(flag);
    const std::size_t line = help.find(
        "\n  " + (setting.flags.starts_with("--") ? "    " : std::string(setting.flags.substr(0, 2)) + ", ") + flag);
    REQUIRE(line != std::string::npos);
    const std::size_t end = help.find(flag, line) + flag.size();
    CHECK(help.substr(end, 2) == "  ");
  }
}

TEST_CASE(
    "--print-config: prints every key, its value and origin, and is itself a narwhal.yaml with the same meaning") {
  StartFolder start;
  start.write("narwhal.yaml", R"(
app: ./front.so
options: {greeting: "hello, \"you\" \\ \x7f \t", "odd key": yes, "": x}
routes: [{prefix: /shop, app: shop, options: {k: v}}, {prefix: /a/b, app: /opt/b.so}, {host: "*.example", app: /c.so}, {host: [a.b, "::1"], prefix: /x, app: /d.so, trailing_slash: strict}]
bind: ["[::1]:81", unix:x.sock, fd://3, ":0"]
raw_env: [A=1, "B= # '\"x"]
proc_name: "null"
access_log_format: '%(h)s "%({X-Y}i)s" # \'
umask: 07
reuse_port: yes
)");
  start.environment.variables["NARWHAL_CMD_ARGS"] = "--body-timeout 3";
  const LoadedConfig loaded = start.good({"--print-config", "-w", "7"});
  INFO(loaded.text);
  for (const Setting& setting : settings()) {
    CHECK(("\n" + loaded.text).find("\n" + std::string(setting.name) + ":") != std::string::npos);
  }
  const auto has_line = [&](const std::string& start_of_line, const std::string& from) {
    const std::size_t at = loaded.text.find(start_of_line + " ");
    return at != std::string::npos && loaded.text.substr(0, loaded.text.find('\n', at)).ends_with("  # " + from);
  };
  CHECK(has_line("workers: 7", "command line"));
  CHECK(has_line("body_timeout: 3", "NARWHAL_CMD_ARGS"));
  CHECK(has_line("umask: 007", "narwhal.yaml:9"));
  CHECK(has_line("timeout: 30", "default"));
  CHECK(has_line("routes:", "narwhal.yaml:4"));

  StartFolder other;
  other.write("narwhal.yaml", loaded.text);
  LoadResult again = other.load({});
  if (!again) FAIL(again.error());
  CHECK(again->config.sources == std::vector<std::string>{other.path("narwhal.yaml")});
  again->config.sources = loaded.config.sources;
  again->config.start_directory = loaded.config.start_directory;
  CHECK(again->config == loaded.config);
}

TEST_CASE("needs_restart: names the keys that a reload cannot apply, and no other") {
  Config running, next;
  next.workers = 9;
  next.user = "nobody";
  next.bind.clear();
  CHECK(needs_restart(running, next).empty());
  next.pidfile = "/run/x";
  CHECK(needs_restart(running, next).empty());
  next.stage_dir = "/run/y";
  CHECK(needs_restart(running, next) == std::vector<std::string>{"stage_dir"});
}

TEST_CASE("current environment: contains the variables and an absolute start directory") {
  ::setenv("NARWHAL_TEST_VARIABLE", "a=b", 1);
  const Environment environment = current_environment("1.2.3");
  ::unsetenv("NARWHAL_TEST_VARIABLE");
  CHECK(environment.variables.at("NARWHAL_TEST_VARIABLE") == "a=b");
  CHECK(environment.start_directory.starts_with("/"));
  CHECK(std::filesystem::equivalent(environment.start_directory, "."));
}
