// The small parts of reading settings.
#include <doctest/doctest.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/bind_text.hpp"
#include "server/config/absolute_paths.hpp"
#include "server/config/bind_address.hpp"
#include "server/config/config_file.hpp"
#include "server/config/gunicorn_settings.hpp"
#include "server/config/known_names.hpp"
#include "server/config/setting_values.hpp"
#include "server/config/settings.hpp"
#include "server/config/settings_json.hpp"
#include "server/config/shell_words.hpp"
#include "server/config/utf8.hpp"

using namespace narwhal;
using namespace narwhal::server;

TEST_CASE("bind: every spelling is printed in a form that is read back as the same") {
  for (const char* text : {"127.0.0.1:8000",
                           "localhost",
                           "localhost:80",
                           ":80",
                           "[::1]:80",
                           "[::]",
                           "[fe80::1%eth0]:1",
                           "unix:/run/x",
                           "unix:///run/x",
                           "unix:x.sock",
                           "fd://3",
                           "tcp://h:1",
                           "http://h:1/",
                           "my-host_1.example.org:65535",
                           "h:0",
                           "h:1?backlog=9",
                           "http://h:1/?backlog=9",
                           "h:1?",
                           "fastcgi://h:1",
                           "scgi://unix:/run/x?mode=0660",
                           "uwsgi://[::1]:1?allow_from=10.0.0.0/8,::1",
                           "unix:/run/x?mode=0660",
                           "unix:/run/x?backlog=1&group=33&owner=web&mode=0",
                           "unix:/run/what?.sock?",
                           "unix:/run/what?.sock?mode=600",
                           "unix:/run/100%?"}) {
    Result<Bind> bind = parse_bind(text);
    INFO(text);
    REQUIRE(bind);
    Result<Bind> again = parse_bind(configured_text(*bind));
    REQUIRE(again);
    CHECK(*bind == *again);
  }
  CHECK(parse_bind("localhost")->port == 8000);
  CHECK(parse_bind("unix:///run/x")->path == "/run/x");
}

TEST_CASE("bind: the last '?' begins the options") {
  const Bind bind = *parse_bind("unix:/run/x?mode=660&owner=web&group=33&backlog=9");
  CHECK(bind.path == "/run/x");
  CHECK(bind.options == BindOptions{0660, "web", "33", 9});
  CHECK(bind_text(bind) == "unix:/run/x?mode=0660&owner=web&group=33&backlog=9");
  CHECK(address_text(bind) == "unix:/run/x");
  CHECK(same_address(bind, *parse_bind("unix:/run/x")));
  CHECK(bind != *parse_bind("unix:/run/x"));
  CHECK(parse_bind("unix:/run/what?.sock?")->path == "/run/what?.sock");
  CHECK(parse_bind("unix:/run/what?.sock?mode=0600")->path == "/run/what?.sock");
  CHECK(bind_text(*parse_bind("unix:/run/what?.sock?")) == "unix:/run/what?.sock?");
  CHECK(without_options("unix:/run/what?.sock?") == "unix:/run/what?.sock");
  CHECK(parse_bind("[::1]:80?backlog=1")->options.backlog == 1);
}

TEST_CASE("bind: a mistake is reported with a message that helps") {
  const auto fault = [](const char* text) {
    Result<Bind> bind = parse_bind(text);
    INFO(text);
    REQUIRE_FALSE(bind);
    return bind.error();
  };
  CHECK(fault("") == "is empty");
  CHECK(fault("http://") == "is empty");
  CHECK(fault("8000") == "a port without a host is written :8000");
  CHECK(fault("::1:8000") == "an IPv6 address needs brackets: [::1]:8000");
  CHECK(fault("[::1:8000") == "']' is missing after '['");
  CHECK(fault("[::1]8000") == "only :PORT may follow ']', not '8000'");
  CHECK(fault("[127.0.0.1]:1") == "'127.0.0.1' is not an IPv6 address");
  CHECK(fault("h:65536") == "port '65536' is not a number from 0 to 65535");
  CHECK(fault("h:") == "port '' is not a number from 0 to 65535");
  CHECK(fault("h:+1") == "port '+1' is not a number from 0 to 65535");
  CHECK(fault("*:80") == "every interface is written 0.0.0.0:PORT, [::]:PORT or :PORT");
  CHECK(fault("a b:80") == "'a b' is not a host name or address");
  CHECK(fault("-:80") == "'-' is not a host name or address");
  CHECK(fault("unix:") == "unix: needs a path, as in unix:/run/app.sock");
  CHECK(fault("unix:@x") == "abstract Unix sockets are not supported");
  CHECK(fault("fd://x") == "fd://x needs the number of an open descriptor, as in fd://3");
  CHECK(fault("fd://-1") == "fd://-1 needs the number of an open descriptor, as in fd://3");
  CHECK(fault("https://h:1") ==
        "the protocol 'https' is not supported: narwhal does not speak TLS; use http:// and a proxy in front of it");
  CHECK(fault("htp://h:1") == "the protocol 'htp' is unknown: did you mean 'http'?");
  CHECK(fault("gopher://h:1") ==
        "the protocol 'gopher' is unknown: an address begins with http://, fastcgi://, scgi://, uwsgi://, unix: or "
        "fd://, or with the host");
}

TEST_CASE("bind: a mistake in its options is reported with a message that helps") {
  const auto fault = [](const char* text) {
    Result<Bind> bind = parse_bind(text);
    INFO(text);
    REQUIRE_FALSE(bind);
    return bind.error();
  };
  const std::string other = " (a path that contains '?' has another '?' at its end)";
  CHECK(fault("unix:/x?mod=0600") == "unknown option 'mod' after '?': did you mean 'mode'?" + other);
  CHECK(fault("unix:/x?colour=0600") ==
        "unknown option 'colour' after '?': the options are mode, owner, group, backlog and allow_from" + other);
  CHECK(fault("unix:/what?.sock") ==
        "unknown option '.sock' after '?': the options are mode, owner, group, backlog and allow_from" + other);
  CHECK(fault("unix:/x?mode") == "option 'mode' needs a value: mode=...");
  CHECK(fault("unix:/x?mode=") == "mode=: '' is not an octal number, as in mode=0660");
  CHECK(fault("unix:/x?mode=0680") == "mode=0680: '0680' is not an octal number, as in mode=0660");
  CHECK(fault("unix:/x?mode=-1") == "mode=-1: '-1' is not an octal number, as in mode=0660");
  CHECK(fault("unix:/x?mode=01777") == "mode=01777: it must be 0000 to 0777");
  CHECK(fault("unix:/x?owner=") == "owner= needs a name or a number");
  CHECK(fault("unix:/x?backlog=0") == "backlog=0: it must be a number from 1 to 1000000");
  CHECK(fault("unix:/x?backlog=many") == "backlog=many: it must be a number from 1 to 1000000");
  CHECK(fault("unix:/x?mode=0600&mode=0660") == "option 'mode' appears twice");
  CHECK(fault("unix:/x?&mode=0600") ==
        "unknown option '' after '?': the options are mode, owner, group, backlog and allow_from" + other);
  CHECK(fault("127.0.0.1:80?mode=0600") == "mode: only the file of a Unix socket has one: remove it, or use unix:PATH");
  CHECK(fault("[::1]:80?owner=web") == "owner: only the file of a Unix socket has one: remove it, or use unix:PATH");
  CHECK(fault("fd://3?backlog=5") ==
        "backlog: a socket that is open already has no options: remove '?' and what follows");
  CHECK(fault("?mode=0600") == "is empty");
}

TEST_CASE("unknown names: a typing error is named with the nearest known name") {
  CHECK(unknown_flag_text("--limit-request-feilds") ==
        "unknown flag '--limit-request-feilds': did you mean '--limit-request-fields'?");
  CHECK(unknown_flag_text("--pidfile") == "unknown flag '--pidfile': the flag is '--pid'");
  CHECK(unknown_flag_text("-z") == "unknown flag '-z'");
}

TEST_CASE("Gunicorn's settings: none of ours is among them, and no name is there twice") {
  std::set<std::string_view> names;
  for (const GunicornSetting& setting : gunicorn_settings()) {
    INFO(std::string(setting.name));
    CHECK(names.insert(setting.name).second);
    CHECK(find_setting(setting.name) == nullptr);
  }
}

TEST_CASE("Gunicorn's settings: a value changes nothing, has no effect, or is refused") {
  const auto judged = [](const char* name, const char* value) {
    return judge(*find_gunicorn_setting(name), name, value);
  };
  for (const GunicornSetting& setting : gunicorn_settings()) {
    if (setting.other == GunicornSetting::Other::hook) continue;
    for (const char* no : {"", "0", "False", "off", "None"}) {
      CHECK(judge(setting, "x", no).fault.empty());
      CHECK(judge(setting, "x", no).notice.empty());
    }
  }
  CHECK(judged("worker_tmp_dir", "/dev/shm").notice.empty());
  CHECK(judged("dirty_apps", "a:B").fault ==
        "'dirty_apps' is a setting of Gunicorn that this version of narwhal does not have yet");
  CHECK(
      judged("certfile", "a.pem").fault ==
      "'certfile' is a setting of Gunicorn that this version of narwhal does not have yet: use a proxy in front of it "
      "for TLS");
  CHECK(judged("spew", "true").notice ==
        "'spew' is a setting of Gunicorn that narwhal does not have: it does not trace Python code; it has no effect");
  CHECK(judged("post_fork", "").fault ==
        "'post_fork' is a setting of Gunicorn that narwhal does not have: hooks are functions; write them in a "
        "gunicorn.conf.py or in a plugin");
}

TEST_CASE("settings: a printed value is read back as the same value") {
  const Config defaults;
  for (const Setting& setting : settings()) {
    INFO(std::string(setting.name));
    Config config;
    clear_list(setting, config);
    for (const std::string& text : value_texts(setting, defaults)) CHECK_FALSE(set_value(setting, text, config));
    CHECK(config == defaults);
  }
}

TEST_CASE("settings in JSON: types and texts are Gunicorn's, and what is not set is null") {
  Config config;
  config.workers = 3;
  config.raw_env = {{"A", "1"}, {"B", "2=\"3\""}};
  config.pythonpath = {"/a", "/b"};
  config.reload = true;
  config.timeout = std::chrono::seconds{77};
  const std::string json = settings_json(config);
  const auto has = [&](const char* text) { return json.find(text) != std::string::npos; };
  CHECK(has(R"("workers": 3)"));
  CHECK(has(R"("raw_env": ["A=1", "B=2=\"3\""])"));
  CHECK(has(R"("pythonpath": "/a,/b")"));
  CHECK(has(R"("reload": true)"));
  CHECK(has(R"("timeout": 77)"));
  CHECK(has(R"("bind": ["127.0.0.1:8000"])"));
  CHECK(has(R"("accesslog": null)"));
  CHECK(has(R"("loglevel": "info")"));
  CHECK(has(R"("secure_scheme_headers": {"X-FORWARDED-PROTOCOL": "ssl", )"));
  CHECK(has(R"("forwarded_allow_ips": ["127.0.0.1", "::1"])"));
  const Result<YamlNode> parsed = parse_yaml(json, "settings");  // JSON is YAML
  CHECK(parsed);
}

TEST_CASE("shell words: quotes and backslashes keep together what white space would split") {
  const auto words = [](std::string_view line) {
    Result<std::vector<std::string>> result = split_shell_words(line);
    REQUIRE(result);
    return *result;
  };
  using Words = std::vector<std::string>;
  CHECK(words("") == Words{});
  CHECK(words("  \t\n") == Words{});
  CHECK(words(" -w 2\t-n 'a b' ") == Words{"-w", "2", "-n", "a b"});
  CHECK(words(R"(a\ b "c \"d\" \\ \n" 'e\f' g"h"i)") == Words{"a b", R"(c "d" \ \n)", "e\\f", "ghi"});
  CHECK(words(R"('' "" x)") == Words{"", "", "x"});
  CHECK(words("'it'\\''s'") == Words{"it's"});
  for (const char* open : {"'a", "\"a", "a\\", "\"a\\\""}) CHECK_FALSE(split_shell_words(open));
}

TEST_CASE("UTF-8: overlong forms, surrogates, cut characters and NUL are not text") {
  for (const char* text : {"", "a\n\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\xb3", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    CHECK_FALSE(find_not_text(text));
  }
  for (const char* odd : {"\x80", "\xc0\xaf", "\xc1\x81", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x90", "\xff"}) {
    CHECK(find_not_text(odd));
  }
  CHECK(find_not_text(std::string_view("\0", 1)));
  const auto place = find_not_text("ab\nc\xc3\xa9\xff");
  REQUIRE(place);
  CHECK(place->line == 2);
  CHECK(place->column == 3);
}

TEST_CASE("paths: one rule for all, and names stay names") {
  Config config;
  config.routes = {{"/a", "./a.so", {}}, {"/b", "../b.so", {}},   {"/c", "c.so", {}},
                   {"/d", "hello", {}},  {"/e", "/opt/e.so", {}}, {"", "web:app", {}}};
  config.bind = {Bind{Bind::Kind::unix_socket, "", 0, "x.sock", -1}, Bind{}};
  config.pidfile = "run/pid";
  config.accesslog = "-";
  SUBCASE("from the start directory") {
    CHECK(make_paths_absolute("/srv", config).empty());
    CHECK(config.routes[0].app == "/srv/a.so");
    CHECK(config.routes[1].app == "/srv/../b.so");
    CHECK(config.routes[2].app == "/srv/c.so");
    CHECK(config.routes[3].app == "hello");
    CHECK(config.routes[4].app == "/opt/e.so");
    CHECK(config.routes[5].app == "web:app");
    CHECK(config.bind[0].path == "/srv/x.sock");
    CHECK(config.pidfile == "/srv/run/pid");
    CHECK(config.accesslog == "-");
    CHECK(config.errorlog == "-");
    CHECK(config.stage_dir == "");
    CHECK(config.chdir == "");
  }
  SUBCASE("from chdir") {
    config.chdir = "app";
    CHECK(make_paths_absolute("/srv", config).empty());
    CHECK(config.chdir == "/srv/app");
    CHECK(config.routes[0].app == "/srv/app/a.so");
  }
  SUBCASE("a socket's path has a limit") {
    config.bind[0].path = std::string(120, 'x');
    const std::vector<std::string> faults = make_paths_absolute("/", config);
    REQUIRE(faults.size() == 1);
    CHECK(faults[0].find("too long for a Unix socket") != std::string::npos);
  }
}
