// What a user of Gunicorn brings along: its flags, settings and variables mean here what they mean there, or are named.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "server/config/gunicorn_file.hpp"
#include "server/config/gunicorn_settings.hpp"
#include "tests/support/start_folder.hpp"

using namespace narwhal;
using namespace narwhal::server;

TEST_CASE("load: Gunicorn's variable is read if ours is absent, and named if both are set") {
  StartFolder start;
  CHECK(start.good({"a"}).notices.empty());
  start.environment.variables["GUNICORN_CMD_ARGS"] = "-w 3";
  const LoadedConfig loaded = start.good({"a"});
  CHECK(loaded.config.workers == 3);
  CHECK(origin(loaded, "workers") == "GUNICORN_CMD_ARGS");
  CHECK(loaded.notices.empty());
  start.environment.variables["NARWHAL_CMD_ARGS"] = "";
  CHECK(start.good({"a"}).config.workers == 1);
  CHECK(start.good({"a"}).notices ==
        std::vector<std::string>{"GUNICORN_CMD_ARGS is ignored, because NARWHAL_CMD_ARGS is set"});
  start.environment.variables = {{"GUNICORN_CMD_ARGS", "--wrokers 3"}};
  CHECK(start.load({"a"}).error() == "GUNICORN_CMD_ARGS: unknown flag '--wrokers': did you mean '--workers'?");
}

TEST_CASE("load: flags of Gunicorn that change nothing are accepted") {
  const StartFolder start;
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"-k", "sync", "./a.so"},
        {"--worker-class=gthread", "--threads", "4", "./a.so"},
        {"-k", "gunicorn.workers.gthread.ThreadWorker", "--worker-tmp-dir", "/dev/shm", "./a.so"},
        {"--no-control-socket", "--protocol", "http", "--cert-reqs", "0", "-R", "--statsd-prefix", "x", "./a.so"},
        {"--suppress-ragged-eofs", "--ciphers=TLSv1", "--root-path=", "--http-protocols", "h1", "./a.so"},
        {"--daemon=false", "./a.so"}}) {
    CAPTURE(words);
    const LoadResult loaded = start.load(words);
    REQUIRE(loaded);
    CHECK(loaded->notices.empty());
    CHECK(loaded->config.routes.size() == 1);
  }
}

TEST_CASE(
    "load: every setting of Gunicorn that we lack means the same as a flag, a key and a line of a gunicorn.conf.py") {
  StartFolder start;
  const auto said = [](const std::vector<std::string>& faults, const std::vector<std::string>& notices) {
    std::string all;
    for (const std::string& text : faults) all += "fault " + text.substr(text.find("' is a setting") + 1);
    for (const std::string& text : notices) all += "notice " + text.substr(text.find("' is a setting") + 1);
    return all;
  };
  for (const GunicornSetting& setting : gunicorn_settings()) {
    const std::string name(setting.name), value = setting.takes == GunicornSetting::Takes::nothing ? "true" : "5";
    INFO(name);
    // Functions and a dictionary of objects can only be written in Python.
    if (setting.other == GunicornSetting::Other::hook || name == "logconfig_dict") continue;
    const auto wanted = judge(setting, name, value);
    const std::string expected = said(wanted.fault.empty() ? std::vector<std::string>{} : std::vector{wanted.fault},
                                      wanted.notice.empty() ? std::vector<std::string>{} : std::vector{wanted.notice});
    start.write("narwhal.yaml", name + ": " + value);
    const LoadResult key = start.load({"a"});
    CHECK(said(key.faults, key ? key->notices : std::vector<std::string>{}) == expected);
    start.write("narwhal.yaml", "");
    const std::string type = value == "true" ? "bool" : "str";
    const GunicornFile file = read_gunicorn_answer(
        R"({"file": "/g.py", "settings": [[")" + name + R"(", 1, ")" + type + R"(", ")" + value + R"("]]})", "g.py");
    CHECK(said(file.layer.faults, file.layer.notices) == expected);
    if (setting.flags.empty()) continue;
    std::vector<std::string> words{std::string(setting.flags.substr(0, setting.flags.find(',')))};
    if (value == "5") words.push_back(value);
    words.emplace_back("a");
    const LoadResult flag = start.load(words);
    CHECK(said(flag.faults, flag ? flag->notices : std::vector<std::string>{}) == expected);
  }
}

TEST_CASE("load: a flag of Gunicorn that has no effect is named with the reason") {
  StartFolder start;
  CHECK(
      start.good({"--spew", "./a.so"}).notices ==
      std::vector<std::string>{"'--spew' is a setting of Gunicorn that narwhal does not have: it does not trace Python "
                               "code; it has no effect"});
  start.write("narwhal.yaml", "spew: true");
  CHECK(
      start.good({"./a.so"}).notices ==
      std::vector<std::string>{"narwhal.yaml:1:1: 'spew' is a setting of Gunicorn that narwhal does not have: it does "
                               "not trace Python code; it has no effect"});
}

TEST_CASE("load: a worker class of greenlets is served by more threads, and one line says so") {
  StartFolder start;
  for (const char* name : {"gevent", "gevent_wsgi", "gunicorn.workers.ggevent.GeventWorker", "eventlet", "tornado",
                           "egg:gunicorn#gevent", "meinheld.gmeinheld.MeinheldWorker"}) {
    CAPTURE(name);
    const LoadedConfig loaded = start.good({"-k", name, "./a.so"});
    CHECK(loaded.config.threads == 64);
    CHECK(loaded.notices ==
          std::vector<std::string>{
              "worker_class '" + std::string(name) +
              "': requests run side by side in threads, not in greenlets: each worker has 64 handler threads, "
              "min(worker_connections, 64), because 'threads' is not set"});
  }
  CHECK(start.good({"-k", "gevent", "--worker-connections", "10", "./a.so"}).config.threads == 10);
  const LoadedConfig set = start.good({"-k", "gevent", "--threads", "1", "./a.so"});
  CHECK(set.config.threads == 1);
  CHECK(set.notices.at(0).ends_with("each worker has 1 handler thread, as 'threads' says"));
  start.write("narwhal.yaml", "worker_class: gevent");
  CHECK(start.good({"./a.so"}).config.threads == 64);
  CHECK(start.good({"-k", "sync", "./a.so"}).config.threads == 1);
}

TEST_CASE("load: a worker class for ASGI ends in 1, an unknown one too, and one of the user's own is named") {
  const StartFolder start;
  for (const char* name : {"uvicorn.workers.UvicornWorker", "asgi", "uvicorn_worker.UvicornH11Worker"}) {
    CAPTURE(name);
    const LoadResult loaded = start.load({"-k", name, "./a.so"});
    REQUIRE_FALSE(loaded);
    CHECK(loaded.exit_code == 1);
    CHECK(loaded.error() ==
          "worker_class '" + std::string(name) + "': ASGI is not served yet: narwhal runs WSGI applications");
  }
  CHECK(start.load({"-k", "gevnt", "./a.so"}).error() ==
        "worker_class 'gevnt': there is no such class: use sync, gthread or gevent");
  CHECK(start.good({"-k", "shop.workers.Quick", "./a.so"}).notices.size() == 1);
}

TEST_CASE("load: SENDFILE switches sendfile() as with Gunicorn, and --no-sendfile takes precedence") {
  StartFolder start;
  CHECK(start.good({"a"}).config.sendfile);
  CHECK_FALSE(start.good({"--no-sendfile", "a"}).config.sendfile);
  for (const char* on : {"y", "1", "yes", "TRUE"}) {
    start.environment.variables["SENDFILE"] = on;
    CHECK(start.good({"a"}).config.sendfile);
    CHECK_FALSE(start.good({"--no-sendfile", "a"}).config.sendfile);
  }
  for (const char* off : {"", "0", "no", "on"}) {
    start.environment.variables["SENDFILE"] = off;
    CHECK_FALSE(start.good({"a"}).config.sendfile);
  }
}

TEST_CASE("load: an empty FORWARDED_ALLOW_IPS trusts nobody") {
  StartFolder start;
  start.environment.variables["FORWARDED_ALLOW_IPS"] = "";
  CHECK(start.good({"a"}).config.forwarded_allow_ips == IpRanges{});
  CHECK(start.good({"--forwarded-allow-ips", "", "a"}).config.forwarded_allow_ips == IpRanges{});
}

TEST_CASE("load: a umask is read as Gunicorn reads it") {
  StartFolder start;
  const auto umask = [&](const char* text) { return start.good({"-m", text, "a"}).config.umask; };
  CHECK(umask("022") == 022);
  CHECK(umask("0o22") == 022);
  CHECK(umask("0x12") == 022);
  CHECK(umask("0b10010") == 022);
  CHECK(umask("18") == 022);
  CHECK(umask("22") == 026);
  CHECK(umask("0777") == 0777);
  CHECK(umask("0") == 0);
  for (const char* wrong : {"", "08", "x", "-1", "512", "01000", "0x"}) CHECK_FALSE(start.load({"-m", wrong, "a"}));
  start.write("narwhal.yaml", "umask: 22");
  CHECK(start.good({"a"}).config.umask == 026);
  CHECK(start.good({"-m", "0777", "--print-config"}).text.find("umask: 0777 ") != std::string::npos);
}

TEST_CASE("load: the beginning of a long flag is enough where only one begins so, as with argparse") {
  const StartFolder start;
  CHECK(start.good({"--workers", "2", "--thr", "4", "--worker-cl=gthread", "--prel", "a"}).config.threads == 4);
  CHECK(start.good({"--prel", "a"}).config.preload_app);
  CHECK(start.good({"--access-logfi=-", "a"}).config.accesslog == "-");
  CHECK(start.good({"--spe", "a"}).notices.size() == 1);
  CHECK(start.good({"-n", "--work", "a"}).config.proc_name == "--work");  // a value is not a flag
  LoadResult loaded = start.load({"--work", "3", "a"});
  REQUIRE_FALSE(loaded);
  CHECK(loaded.exit_code == 2);
  CHECK(loaded.error() ==
        "'--work' is ambiguous: it may be --workers, --worker-class, --worker-connections, --worker-memory-max or "
        "--worker-tmp-dir");
}
