// A gunicorn.conf.py read by a real Python: computed values arrive, errors have their place, and a hang ends.
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "server/config/load_config.hpp"
#include "server/config/python_process.hpp"
#include "tests/support/start_folder.hpp"

using namespace narwhal;
using namespace narwhal::server;

namespace {

struct Start : StartFolder {
  Start() {
    environment.variables["PATH"] = std::getenv("PATH");
    environment.plugin_directories = {path("plugins")};
    const std::string version = *version_of_python(*find_python("", {}));
    write("plugins/wsgi-cp3" + version.substr(version.find('.') + 1) + ".so", "");
  }
  std::string refused(const std::string& text) const {
    write("bad.py", text);
    const LoadResult loaded = load({"-c", "bad.py", "--boot-timeout", "30", "./a.so"});
    REQUIRE_FALSE(loaded);
    CHECK(loaded.exit_code == 1);
    return loaded.error();
  }
};

}  // namespace

TEST_CASE("python config: computed values count, and the line that computed them is known") {
  Start start;
  start.environment.variables["HOW_MANY"] = "2";
  start.write("gunicorn.conf.py",
              "import os\n"
              "base = int(os.environ['HOW_MANY'])\n"
              "workers = base * 2 + 1\n"
              "if workers > 3:\n"
              "    bind = [f'127.0.0.1:{8000 + n}' for n in range(2)]\n"
              "chdir = os.path.dirname(__file__)\n"
              "proc_name = __name__ + ' at ' + os.path.basename(os.getcwd())[:12] + ' \\u00e9\\U0001f984'\n");
  const LoadedConfig loaded = start.good({"./a.so"});
  CHECK(loaded.config.workers == 5);
  CHECK(loaded.config.bind.size() == 2);
  CHECK(loaded.config.chdir == start.environment.start_directory);
  CHECK(loaded.config.proc_name == "__config__ at narwhal_test \u00e9\U0001f984");
  CHECK(origin(loaded, "workers") == "gunicorn.conf.py:3");
  CHECK(origin(loaded, "bind") == "gunicorn.conf.py:5");
  CHECK(loaded.notices.empty());
  CHECK_FALSE(loaded.config.has_worker_hooks);
}

TEST_CASE("python config: a narwhal.yaml next to it takes precedence, and the command line over both") {
  Start start;
  start.write("gunicorn.conf.py", "workers = 3\nthreads = 4\n");
  CHECK(start.good({"-w", "2", "./a.so"}).config.workers == 2);
  CHECK(start.good({"-w", "2", "./a.so"}).config.threads == 4);
  start.write("narwhal.yaml", "threads: 5\n");
  CHECK(start.good({"./a.so"}).config.threads == 5);
  CHECK(start.good({"./a.so"}).config.workers == 1);
  CHECK(start.good({"-c", "gunicorn.conf.py", "./a.so"}).config.workers == 3);
}

TEST_CASE("python config: it is named by its path, by file: and by python:") {
  const Start start;
  start.write("conf/web.conf", "workers = 6\n");
  start.write("settings/__init__.py", "");
  start.write("settings/web.py", "workers = 7\ndef post_fork(server, worker): pass\n");
  CHECK(start.good({"-c", "file:conf/web.conf", "./a.so"}).config.workers == 6);
  CHECK(start.good({"-c", "settings/web.py", "web:app"}).config.conf_file == start.path("settings/web.py"));
  const LoadedConfig loaded = start.good({"-c", "python:settings.web", "web:app"});
  CHECK(loaded.config.workers == 7);
  CHECK(loaded.config.conf_file == "python:settings.web");
  CHECK(loaded.config.has_worker_hooks);
}

TEST_CASE("python config: ignored settings are named in one line") {
  const Start start;
  start.write("gunicorn.conf.py",
              "import logging as unrelated\n"
              "unknown_name = 5\n"
              "def on_starting(server): pass\n"
              "def dirty_post_fork(arbiter, worker): pass\n"
              "def ssl_context(config, factory): pass\n"
              "def post_fork(server, worker): pass\n");
  const LoadedConfig loaded = start.good({"web:app"});
  using Lines = std::vector<std::string>;
  CHECK(loaded.notices ==
        Lines{"gunicorn.conf.py: ignored, because narwhal does not use them: ssl_context, dirty_post_fork"});
  CHECK(loaded.config.has_worker_hooks);
  const LoadedConfig native = start.good({"./a.so"});
  CHECK(native.notices ==
        Lines{"gunicorn.conf.py: ignored, because narwhal does not use them: ssl_context, dirty_post_fork, post_fork"});
  CHECK_FALSE(native.config.has_worker_hooks);
  CHECK(native.config.has_master_hooks);
}

TEST_CASE("python config: each kind of failure is one line with its place") {
  const Start start;
  CHECK(start.refused("a = 1\nworkers = nope\n") == "bad.py:2: NameError: name 'nope' is not defined");
  CHECK(start.refused("a = 1\ndef f(:\n") == "bad.py:2: SyntaxError: invalid syntax");
  CHECK(start.refused("def f():\n  return 1 / 0\nx = f()\n") == "bad.py:2: ZeroDivisionError: division by zero");
  CHECK(start.refused("import nothing_of_this_name\n") ==
        "bad.py:1: ModuleNotFoundError: No module named 'nothing_of_this_name'");
  CHECK(start.refused("raise SystemExit(3)\n") == "bad.py:1: SystemExit: 3");
  CHECK(start.refused("import os\nos._exit(5)\n") == "bad.py: Python exited with code 5 before it had read the file");
  CHECK(start.refused("\nworkers = 'many'\n") == "bad.py:2: workers: 'many' is not a whole number");
  CHECK(start.refused("proc_name = 'x' * 2000000\n") == "bad.py: its settings are larger than 1 MiB");
}

TEST_CASE("python config: without a suffix, the first line tells Python from YAML") {
  const Start start;
  const auto workers = [&](const std::string& text) {
    start.write("settings", text);
    return start.good({"-c", "settings", "./a.so"}).config.workers;
  };
  for (const char* python :
       {"workers = 7\n", "# comment\n\nworkers=7\n", "import os\nworkers = 7", "\"\"\"Doc: string\"\"\"\nworkers = 7\n",
        "workers: int = 7\n", "names: list[str] = []\nworkers = 7\n", "try:\n  workers = 7\nfinally:\n  pass\n",
        "if True:\n  workers = 7\n", "def f(): pass\nworkers = 7\n", "from os import path\nworkers = 7\n",
        "#!/usr/bin/env python3\nworkers = 7\n", "\xef\xbb\xbfworkers = 7\n", "(workers) = 7\n",
        "\r\nworkers = 7\r\n"}) {
    CAPTURE(python);
    CHECK(workers(python) == 7);
  }
  for (const char* yaml :
       {"workers: 7\n", "# comment\n\nworkers:  7  # a = b\n", "---\nworkers: 7\n", "{workers: 7}\n", "'workers': 7\n",
        "\"workers\" : 7\n", "workers:\n  7\n", "workers: '7'\n", "\xef\xbb\xbfworkers: 7\r\n"}) {
    CAPTURE(yaml);
    CHECK(workers(yaml) == 7);
  }
  CHECK(workers("") == 1);
  CHECK(workers("# nothing\n") == 1);
  start.write("settings.yml", "workers = 7\n");  // the name counts first
  CHECK(start.load({"-c", "settings.yml", "./a.so"}).error().starts_with("settings.yml:1"));
  CHECK(start.load({"-c", "absent", "./a.so"}).error() == "absent: there is no such file");
}

TEST_CASE("python config: a file that hangs is ended, with all its threads") {
  const Start start;
  start.write("bad.py", "import time\ntime.sleep(1000)\n");
  const LoadResult loaded = start.load({"-c", "bad.py", "--boot-timeout", "1", "./a.so"});
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error() == "bad.py: reading it took longer than boot_timeout");
  start.write("good.py",
              "import threading, time\n"
              "threading.Thread(target=time.sleep, args=(1000,)).start()\n"
              "workers = 8\n");
  CHECK(start.good({"-c", "good.py", "./a.so"}).config.workers == 8);
}

TEST_CASE("python config: the Python of the workers reads it: their environment's, else the one they embed") {
  const Start start;
  for (const char* name :
       {"named/bin/python", "active/bin/python", "path/python3", "path/python3.99", "system/python3.99"}) {
    std::filesystem::permissions(start.write(name, "#!/bin/sh\n"), std::filesystem::perms::owner_all);
  }
  std::map<std::string, std::string> variables{{"PATH", "/nowhere::" + start.path("path")},
                                               {"VIRTUAL_ENV", start.path("active")}};
  const std::string embedded = start.path("system/python3.99"), gone = start.path("gone/python3.99");
  CHECK(*find_python(start.path("named"), variables, embedded) == start.path("named/bin/python"));
  CHECK(*find_python("", variables, embedded) == start.path("active/bin/python"));
  variables["VIRTUAL_ENV"] = start.path("gone");
  CHECK(*find_python("", variables, embedded) == embedded);
  CHECK(*find_python("", variables, gone) == start.path("path/python3.99"));
  CHECK(*find_python("", variables, start.path("gone/python3.98")) == start.path("path/python3"));
  CHECK(*find_python("", variables, "") == start.path("path/python3"));
  CHECK_FALSE(find_python(start.path("gone"), variables, embedded));
}
