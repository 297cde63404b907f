// The values of a gunicorn.conf.py, with Gunicorn's types, become our settings; settings that we do not have are named.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "server/config/gunicorn_file.hpp"
#include "server/config/setting_values.hpp"

using namespace narwhal;
using namespace narwhal::server;

namespace {

// Rows of the answer: ["workers", 3, "int", "9"].
GunicornFile read(const std::string& rows) {
  return read_gunicorn_answer(R"({"file": "/srv/gunicorn.conf.py", "settings": [)" + rows + "]}", "g.py");
}

Draft merged(const std::string& rows) { return merge_layers({read(rows).layer}); }

Config good(const std::string& rows) {
  const Draft draft = merged(rows);
  for (const std::string& fault : draft.faults) FAIL(fault);
  return draft.config;
}

std::vector<std::string> faults(const std::string& rows) { return merged(rows).faults; }

std::string bind_text(const std::string& rows) {
  std::string text;
  for (const std::string& each : value_texts(*find_setting("bind"), good(rows))) text += each + " ";
  return text;
}

}  // namespace

TEST_CASE("gunicorn file: numbers are numbers, or strings of digits") {
  CHECK(good(R"(["workers", 3, "int", "9"])").workers == 9);
  CHECK(good(R"(["workers", 3, "str", " 9\n"])").workers == 9);
  CHECK(good(R"(["threads", 3, "bool", "true"])").threads == 1);
  CHECK(good(R"(["timeout", 3, "int", "120"])").timeout == std::chrono::seconds(120));
  CHECK(good(R"(["limit_request_line", 3, "int", "0"])").limit_request_line == 0);
  CHECK(good(R"(["workers", 3, "None", ""])").workers == Config{}.workers);
  CHECK(faults(R"(["timeout", 7, "float", "1.5"])") ==
        std::vector<std::string>{"g.py:7: timeout: '1.5' is not a whole number of seconds"});
  CHECK(faults(R"(["timeout", 7, "list", [["int", "1"]]])") ==
        std::vector<std::string>{"g.py:7: timeout: is of type list, not a number"});
}

TEST_CASE("gunicorn file: bind is a string or a list") {
  CHECK(bind_text(R"(["bind", 1, "str", "0.0.0.0:80"])") == "0.0.0.0:80 ");
  CHECK(bind_text(R"(["bind", 1, "list", [["str", ":81"], ["str", "unix:/run/x"]]])") == ":81 unix:/run/x ");
  CHECK(faults(R"(["bind", 1, "list", []])") ==
        std::vector<std::string>{"g.py:1: bind: is empty: give at least one address"});
  CHECK(faults(R"(["bind", 1, "int", "8000"])") ==
        std::vector<std::string>{"g.py:1: bind: is of type int, not a string or a list"});
  CHECK(faults(R"(["bind", 0, "list", [["int", "8000"]]])") ==
        std::vector<std::string>{"g.py: bind: contains a value of type int, but each must be a string"});
}

TEST_CASE("gunicorn file: a umask is a number, which Python has read already; only a string may be octal") {
  CHECK(good(R"(["umask", 1, "int", "18"])").umask == 022);
  CHECK(good(R"(["umask", 1, "str", "0o22"])").umask == 022);
  CHECK(good(R"(["umask", 1, "str", "022"])").umask == 022);
  CHECK(good(R"(["umask", 1, "str", "18"])").umask == 022);
  CHECK(faults(R"(["umask", 1, "str", "x"])").size() == 1);
  CHECK(faults(R"(["umask", 1, "dict", []])") ==
        std::vector<std::string>{"g.py:1: umask: is of type dict, not a number"});
}

TEST_CASE("gunicorn file: switches are True or False, texts are strings, users may be numbers") {
  CHECK(good(R"(["preload_app", 1, "bool", "true"])").preload_app);
  CHECK(good(R"(["preload_app", 1, "str", "True"])").preload_app);
  CHECK(faults(R"(["preload_app", 1, "int", "1"])") ==
        std::vector<std::string>{"g.py:1: preload_app: is of type int, not True or False"});
  CHECK(good(R"(["accesslog", 1, "str", "-"])").accesslog == "-");
  CHECK(good(R"(["accesslog", 1, "None", ""])").accesslog.empty());
  CHECK(faults(R"(["accesslog", 1, "bool", "false"])") ==
        std::vector<std::string>{"g.py:1: accesslog: is of type bool, not a string"});
  CHECK(good(R"(["user", 1, "int", "33"])").user == "33");
  CHECK(good(R"(["user", 1, "str", "www-data"])").user == "www-data");
  CHECK(good(R"(["loglevel", 1, "str", "DEBUG"])").loglevel == LogLevel::debug);
  CHECK(good(R"(["proxy_protocol", 1, "bool", "true"])").proxy_protocol == ProxyProtocol::either);
  CHECK(good(R"(["proxy_protocol", 1, "str", "v2"])").proxy_protocol == ProxyProtocol::v2);
}

TEST_CASE("gunicorn file: pairs are a dict or a list, and the list of trusted peers may be empty") {
  const Options headers{{"X-Forwarded-Proto", "https"}, {"X-TLS", "on"}};
  CHECK(good(R"(["secure_scheme_headers", 1, "dict", [["X-Forwarded-Proto", "str", "https"], ["X-TLS", "str", "on"]]])")
            .secure_scheme_headers == headers);
  CHECK(good(R"(["raw_env", 1, "list", [["str", "A=b=c"]]])").raw_env == Options{{"A", "b=c"}});
  CHECK(good(R"(["raw_env", 1, "list", []])").raw_env.empty());
  CHECK(faults(R"(["raw_env", 1, "list", [["str", "A"]]])") ==
        std::vector<std::string>{"g.py:1: raw_env: 'A' is not NAME=VALUE"});
  CHECK(good(R"(["forwarded_allow_ips", 1, "str", "10.0.0.0/8,::1"])").forwarded_allow_ips ==
        IpRanges{"10.0.0.0/8,::1"});
  CHECK(good(R"(["forwarded_allow_ips", 1, "None", ""])").forwarded_allow_ips == IpRanges{});
  CHECK(good(R"(["forwarded_allow_ips", 1, "str", ""])").forwarded_allow_ips == IpRanges{});
}

TEST_CASE("gunicorn file: the app is named by wsgi_app") {
  const Draft draft = merged(R"(["wsgi_app", 4, "str", "shop:app"])");
  REQUIRE(draft.config.routes.size() == 1);
  CHECK(draft.config.routes[0].app == "shop:app");
  CHECK(draft.origins.find("app")->second == "g.py:4");
  CHECK(good(R"(["wsgi_app", 4, "None", ""])").routes.empty());
  CHECK(faults(R"(["wsgi_app", 4, "callable", ""])").size() == 1);
}

TEST_CASE("gunicorn file: a setting of Gunicorn that we do not have is named if it would change something") {
  const auto notices = [](const std::string& rows) {
    CHECK(read(rows).not_used.empty());
    return read(rows).layer.notices;
  };
  CHECK(
      notices(R"(["daemon", 1, "bool", "false"], ["spew", 4, "bool", "true"])") ==
      std::vector<std::string>{"g.py:4: 'spew' is a setting of Gunicorn that narwhal does not have: it does not trace "
                               "Python code; it has no effect"});
  CHECK(notices(R"(["logconfig_dict", 1, "dict", []])").empty());
  CHECK(notices(R"(["logconfig_dict", 1, "dict", [["version", "int", "1"]]])").empty());
  CHECK(good(R"(["worker_class", 1, "str", "gevent"])").worker_class == "gevent");
  CHECK(good(R"(["worker_class", 1, "callable", "shop.Worker"])").worker_class == "shop.Worker");
}

TEST_CASE("gunicorn file: a logconfig_dict is left to the log process, whatever is in it") {
  CHECK(read(R"(["logconfig_dict", 1, "dict", [["version", "int", "1"], ["x", "object", ""]]])").has_logconfig_dict);
  CHECK_FALSE(read(R"(["logconfig_dict", 1, "dict", []])").has_logconfig_dict);
  CHECK_FALSE(read(R"(["logconfig_dict", 1, "None", ""])").has_logconfig_dict);
  CHECK(faults(R"(["logconfig_dict", 7, "list", [["int", "1"]]])") ==
        std::vector<std::string>{"g.py:7: logconfig_dict: is not a dictionary"});
  CHECK(good(R"(["logger_class", 1, "callable", "shop.Logger"])").logger_class == "shop.Logger");
  CHECK(good(R"(["logger_class", 1, "str", "shop.Logger"])").logger_class == "shop.Logger");
}

TEST_CASE("gunicorn file: a setting without which another thing would be served is an error, with the flag's text") {
  CHECK(
      faults(R"(["certfile", 5, "str", "/etc/cert.pem"])") ==
      std::vector<std::string>{"g.py:5: 'certfile' is a setting of Gunicorn that this version of narwhal does not have "
                               "yet: use a proxy in front of it for TLS"});
  CHECK(faults(R"(["certfile", 5, "None", ""], ["cert_reqs", 6, "int", "0"])").empty());
  CHECK(faults(R"(["dirty_apps", 5, "list", [["str", "a:B"]]])").size() == 1);
  CHECK(good(R"(["daemon", 5, "bool", "true"])").daemon);
}

TEST_CASE("gunicorn file: hooks of workers and of the master are found, others named") {
  const std::vector<std::string> post_fork{"post_fork"};
  CHECK(read(R"(["post_fork", 1, "callable", ""])").hooks == post_fork);
  CHECK(read(R"(["post_fork", 1, "str", "hooks.post_fork"])").hooks == post_fork);
  CHECK(read(R"(["post_fork", 1, "None", ""])").hooks.empty());
  CHECK(read(R"(["when_ready", 1, "callable", ""])").hooks.empty());
  CHECK(read(R"(["when_ready", 1, "callable", ""])").has_master_hooks);
  CHECK_FALSE(read(R"(["when_ready", 1, "None", ""])").has_master_hooks);
  CHECK(read(R"(["pre_exec", 1, "callable", ""])").has_master_hooks);
  CHECK(read(R"(["ssl_context", 1, "callable", ""])").not_used == std::vector<std::string>{"ssl_context"});
  CHECK(faults(R"(["post_fork", 3, "int", "1"])") == std::vector<std::string>{"g.py:3: post_fork: is not a function"});
}

TEST_CASE("gunicorn file: a helper with the name of a setting that only narwhal has belongs to the file") {
  CHECK(good(R"(["queue_size", 1, "callable", ""])").queue_size == Config{}.queue_size);
  CHECK(good(R"(["queue_size", 1, "int", "7"])").queue_size == 7);
  CHECK(good(R"(["request_buffering", 1, "callable", ""])").request_buffering);
  CHECK_FALSE(good(R"(["request_buffering", 1, "bool", "false"])").request_buffering);
  CHECK(faults(R"(["keepalive", 1, "callable", ""])") ==
        std::vector<std::string>{"g.py:1: keepalive: is a function or class, not a number"});
}

TEST_CASE("gunicorn file: an error in Python is one line with its place") {
  const GunicornFile file =
      read_gunicorn_answer(R"({"file": "/srv/g.py", "fault": [3, "NameError: name 'x' is not defined"]})", "g.py");
  CHECK(file.layer.faults == std::vector<std::string>{"g.py:3: NameError: name 'x' is not defined"});
}

TEST_CASE("gunicorn file: a name one edit from a setting's is named, any other belongs to the file") {
  const GunicornFile file = read_gunicorn_answer(
      R"({"file": "/srv/g.py", "others": [["worker", 2], ["port", 3], ["helper", 4], ["accesslogs", 0]]})", "g.py");
  CHECK(file.layer.notices ==
        std::vector<std::string>{"g.py:2: 'worker' is not a setting: did you mean 'workers'?",
                                 "g.py: 'accesslogs' is not a setting: did you mean 'accesslog'?"});
}

TEST_CASE("gunicorn file: an invalid answer is a fault") {
  for (const char* answer : {"{\"file\": ", "]", "\xff"}) {
    CAPTURE(answer);
    CHECK(read_gunicorn_answer(answer, "g.py").layer.faults.size() == 1);
  }
}
