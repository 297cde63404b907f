// narwhal.yaml: text in, Config out, and what each kind of mistake says.
#include <doctest/doctest.h>

#include <string>

#include "server/config/load_config.hpp"
#include "server/config/settings.hpp"

using narwhal::Bind;
using narwhal::Config;
using narwhal::LogLevel;
using narwhal::Result;
using narwhal::server::parse_config;

namespace {

Config good(const std::string& yaml) {
  Result<Config> config = parse_config(yaml, "narwhal.yaml");
  INFO(yaml);
  if (!config) FAIL(config.error());
  return *config;
}

std::string fault(const std::string& yaml) {
  Result<Config> config = parse_config(yaml, "narwhal.yaml");
  INFO(yaml);
  REQUIRE_FALSE(config);
  return config.error();
}

}  // namespace

TEST_CASE("config file: an empty one means the defaults") {
  for (const char* empty :
       {"", "\n", "# only words\n", "---\n", "{}", "\xEF\xBB\xBF", "null", "workers:\n", "app: ~"}) {
    CHECK(good(empty) == Config{});
  }
}

TEST_CASE("config file: each type of setting is read") {
  const Config config = good(R"(
bind: ["[::1]:81", "unix:/run/x.sock", fd://3, "http://localhost:8080/", ":0"]
workers: 4
umask: 027
reuse_port: true
keepalive: 5
limit_request_body: 16M
loglevel: Warning
proc_name: "my shop"
raw_env: [A=1, B==]
)");
  REQUIRE(config.bind.size() == 5);
  CHECK(config.bind[0] == Bind{Bind::Kind::tcp, "::1", 81, "", -1});
  CHECK(config.bind[1] == Bind{Bind::Kind::unix_socket, "", 0, "/run/x.sock", -1});
  CHECK(config.bind[2] == Bind{Bind::Kind::inherited, "", 0, "", 3});
  CHECK(config.bind[3] == Bind{Bind::Kind::tcp, "localhost", 8080, "", -1, narwhal::Wire::http});
  CHECK(config.bind[4] == Bind{Bind::Kind::tcp, "", 0, "", -1});
  CHECK(config.workers == 4);
  CHECK(config.umask == 027);
  CHECK(config.reuse_port);
  CHECK(config.keepalive == std::chrono::seconds(5));
  CHECK(config.limit_request_body == 16u * 1024 * 1024);
  CHECK(config.loglevel == LogLevel::warning);
  CHECK(config.proc_name == "my shop");
  CHECK(config.raw_env == narwhal::Options{{"A", "1"}, {"B", "="}});
}

TEST_CASE("config file: one bind needs no list, and raw_env may be a map") {
  CHECK(good("bind: 0.0.0.0:80").bind.front().port == 80);
  CHECK(good("raw_env: {A: 1, B: two}").raw_env == narwhal::Options{{"A", "1"}, {"B", "two"}});
  CHECK(good("raw_env: A=1").raw_env == narwhal::Options{{"A", "1"}});
}

TEST_CASE("config file: a switch accepts six words, and no others") {
  for (const char* yes : {"true", "yes", "on", "True", "YES", "\"true\""}) {
    CHECK(good(std::string("preload_app: ") + yes).preload_app);
  }
  for (const char* no : {"false", "no", "off", "False"}) {
    CHECK_FALSE(good(std::string("preload_app: ") + no).preload_app);
  }
  CHECK(fault("preload_app: 1") == "narwhal.yaml:1:14: preload_app: '1' is not true or false");
  CHECK(fault("preload_app: y") == "narwhal.yaml:1:14: preload_app: 'y' is not true or false");
}

TEST_CASE("config file: text that looks like another type stays as it is written") {
  CHECK(good("proc_name: no").proc_name == "no");
  CHECK(good("proc_name: 012").proc_name == "012");
  CHECK(good("app: 1e3").routes.front().app == "1e3");
  CHECK(good("app: a\noptions: {x: yes, y: 0x10, z: 1.50}").routes.front().options ==
        narwhal::Options{{"x", "yes"}, {"y", "0x10"}, {"z", "1.50"}});
}

TEST_CASE("config file: a wrong value is reported with file, line, column and key") {
  CHECK(fault("# a\n\nworkers: four") == "narwhal.yaml:3:10: workers: 'four' is not a whole number");
  CHECK(fault("timeout: 1.5") == "narwhal.yaml:1:10: timeout: '1.5' is not a whole number of seconds");
  CHECK(fault("body_buffer_size: 1T") ==
        "narwhal.yaml:1:19: body_buffer_size: '1T' is not a whole number of bytes, perhaps with K, M or G after it");
  CHECK(fault("timeout: 1T") == "narwhal.yaml:1:10: timeout: '1T' is not a whole number of seconds");
  CHECK(fault("proxy_protocol: v9") ==
        "narwhal.yaml:1:17: proxy_protocol: 'v9' is not a PROXY protocol mode: use off, v1, v2 or auto");
  CHECK(fault("loglevel: warnin") ==
        "narwhal.yaml:1:11: loglevel: 'warnin' is not a log level: did you mean 'warning'?");
  CHECK(fault("umask: 08") ==
        "narwhal.yaml:1:8: umask: '08' is not a number: write it in octal with a 0 in front, as in 022");
  CHECK(fault("loglevel: inof") == "narwhal.yaml:1:11: loglevel: 'inof' is not a log level: did you mean 'info'?");
  CHECK(fault("workers: [1, 2]") == "narwhal.yaml:1:10: workers: is a list, not a single value");
  CHECK(fault("workers: {a: 1}") == "narwhal.yaml:1:10: workers: is a map, not a single value");
  CHECK(fault("raw_env: [A]") == "narwhal.yaml:1:11: raw_env: 'A' is not NAME=VALUE");
  CHECK(fault("bind: [x:1, [y:2]]") == "narwhal.yaml:1:13: bind: contains a list where a single value is expected");
  CHECK(fault("bind: []") == "narwhal.yaml:1:7: bind: is empty: give at least one address");
  CHECK(fault("proc_name: \"a\\nb\"") == "narwhal.yaml:1:12: proc_name: contains a control character");
  CHECK(fault("- workers") == "narwhal.yaml:1:1: is a list, not a map such as 'workers: 4'");
  CHECK(fault("workers") == "narwhal.yaml:1:1: is a single value, not a map such as 'workers: 4'");
}

TEST_CASE("config file: a number out of range is reported with the range") {
  CHECK(fault("workers: 0") == "narwhal.yaml:1:10: workers: 0 is out of range: it must be 1 to 500");
  CHECK(fault("workers: -3") == "narwhal.yaml:1:10: workers: -3 is out of range: it must be 1 to 500");
  CHECK(fault("threads: 256") == "narwhal.yaml:1:10: threads: 256 is out of range: it must be 1 to 255");
  CHECK(fault("umask: 1000") ==
        "narwhal.yaml:1:8: umask: 1000 is out of range: it must be 00 to 0777; an octal number begins with 0");
  CHECK(fault("timeout: 18446744073709551616") ==
        "narwhal.yaml:1:10: timeout: 18446744073709551616 is out of range: it must be 0 to 86400");
  CHECK(fault("limit_request_body: 18446744073709551615G").find("is out of range") != std::string::npos);
  for (const narwhal::server::Setting& setting : narwhal::server::settings()) {
    if (setting.max == 0 || setting.above == narwhal::server::Setting::Above::cut) continue;
    const std::string key(setting.name);
    const bool octal = key == "umask";
    const auto text = [&](std::uint64_t number) {
      char buffer[32];
      std::snprintf(buffer, sizeof buffer, octal ? "0%llo" : "%llu", static_cast<unsigned long long>(number));
      return key + ": " + buffer;
    };
    good(text(setting.min));
    good(text(setting.max));
    fault(text(setting.max + 1));
    if (setting.min > 0) fault(text(setting.min - 1));
  }
}

TEST_CASE("config file: limits of a request above the maximum are cut, as in Gunicorn") {
  CHECK(good("limit_request_line: 8190").limit_request_line == 8190);
  CHECK(good("limit_request_line: 8191").limit_request_line == 8190);
  CHECK(good("limit_request_line: 1G").limit_request_line == 8190);
  CHECK(good("limit_request_line: 0").limit_request_line == 0);
  CHECK(good("limit_request_fields: 99999999999999999999").limit_request_fields == 32'768);
  CHECK(good("limit_request_field_size: 2M").limit_request_field_size == 1024 * 1024);
  CHECK(fault("limit_request_line: -1").find("is out of range") != std::string::npos);
  CHECK(fault("limit_request_line: -99999").find("is out of range") != std::string::npos);
}

TEST_CASE("config file: an unknown key is reported with the nearest known one") {
  CHECK(fault("worker: 4") == "narwhal.yaml:1:1: unknown key 'worker': did you mean 'workers'?");
  CHECK(fault("\n  wrokers: 4") == "narwhal.yaml:2:3: unknown key 'wrokers': did you mean 'workers'?");
  CHECK(fault("access_logfile: x") == "narwhal.yaml:1:1: unknown key 'access_logfile': the key is 'accesslog'");
  CHECK(fault("log-level: x") == "narwhal.yaml:1:1: unknown key 'log-level': the key is 'loglevel'");
  CHECK(fault("zebra: 4") == "narwhal.yaml:1:1: unknown key 'zebra'");
}

TEST_CASE("config file: Gunicorn's settings that narwhal does not have are named as such, not as unknown") {
  CHECK(fault("dirty_apps: 4") ==
        "narwhal.yaml:1:1: 'dirty_apps' is a setting of Gunicorn that this version of narwhal does not have yet");
  CHECK(good("daemon: false\nmax_requests: 0\nprotocol: http\ncert_reqs: 0\nlogconfig_dict: {}\ndirty_apps: "
             "[]\npaste:\n") == narwhal::Config{});
}

TEST_CASE("config file: a logconfig_dict is refused with the way to write it") {
  CHECK(fault("logconfig_dict: {version: 1}") ==
        "narwhal.yaml:1:1: 'logconfig_dict' is a setting of Gunicorn that narwhal does not have: write it in a "
        "gunicorn.conf.py, or name a file in JSON as 'logconfig_json'");
}

TEST_CASE("config file: Gunicorn's name for the app is accepted too, but not together with ours") {
  CHECK(good("wsgi_app: web:app").routes == std::vector<narwhal::Route>{{"", "web:app", {}}});
  CHECK(fault("app: a\nwsgi_app: b") ==
        "narwhal.yaml:2:1: 'app' and 'wsgi_app' are the same setting: use only one of them");
  CHECK(fault("wsgi_app: ''") == "narwhal.yaml:1:11: wsgi_app: is empty, not the path or name of an application");
}

TEST_CASE("config file: all mistakes are reported at once, in order") {
  CHECK(fault("worker: 1\nworkers: x\nroutes:\n  - {prefix: shop, app: a.so}\nbind: 80\ndirty_apps: 1\n") ==
        "narwhal.yaml:1:1: unknown key 'worker': did you mean 'workers'?\n"
        "narwhal.yaml:6:1: 'dirty_apps' is a setting of Gunicorn that this version of narwhal does not have yet\n"
        "narwhal.yaml:2:10: workers: 'x' is not a whole number\n"
        "narwhal.yaml:5:7: bind: '80': a port without a host is written :80\n"
        "narwhal.yaml:4:5: routes: prefix 'shop' does not begin with '/'");
}

TEST_CASE("config file: a key that appears twice is refused") {
  CHECK(fault("workers: 1\nworkers: 2") == "narwhal.yaml:2:1: key 'workers' appears twice");
  CHECK(fault("app: a\noptions: {x: 1, x: 2}") == "narwhal.yaml:2:17: options: key 'x' appears twice");
  CHECK(fault("bind: [a:1, a:1]") == "narwhal.yaml:1:13: bind: 'a:1' appears twice");
  CHECK(good("bind: [\"a:0\", \"a:0\"]").bind.size() == 2);
}

TEST_CASE("config file: text that is not YAML is reported with its place") {
  CHECK(fault("bind: [a:1\nworkers: 2").ends_with("a '[' is not closed"));
  CHECK(fault("bind: [::]:80").ends_with("the value needs quotes, or the indentation is wrong"));
  CHECK(fault("a: b: c").starts_with("narwhal.yaml:1:5: unexpected ':'"));
  CHECK(fault("workers: 1\nthreads 2\n").starts_with("narwhal.yaml:"));
  CHECK(fault("accesslog: -").starts_with("narwhal.yaml:1:12: a '-' here begins a list"));
  CHECK(fault("access_log_format: %(h)s") == "narwhal.yaml:1:20: a value with this character here needs quotes");
  CHECK(fault("bind: [unix:/x?mode=0600]") == "narwhal.yaml:1:15: a value with this character here needs quotes");
  CHECK(fault("user: *") == "narwhal.yaml:1:8: '*' begins an alias: quote it");
  CHECK(fault("workers: *x").starts_with("narwhal.yaml:1:10: "));
  CHECK(fault("bind: \"a:1") == "narwhal.yaml:1:7: a quote is not closed");
  CHECK(fault("bind: \"a:1\nworkers: 2\n") == "narwhal.yaml:1:7: a quote is not closed");
  CHECK(fault("workers: 2\nserver_header: 'x\nlimit_request_body: 1000\n") ==
        "narwhal.yaml:2:16: a quote is not closed");
  CHECK(fault("proc_name: don't\nworkers: \"2\"\nbind: [\"a:1\", \"b:1]\n# it's\n") ==
        "narwhal.yaml:3:15: a quote is not closed");
  CHECK(fault("workers: !!int 4") == "narwhal.yaml:1:10: tags such as 'tag:yaml.org,2002:int' are not supported");
  CHECK(fault("? [a]\n: 1\n") == "narwhal.yaml:1:3: a key must be a word");
  CHECK(fault("workers: 1\n---\nworkers: 2") ==
        "narwhal.yaml:2:1: a second document begins here: the file may contain only one");
  CHECK(fault("  workers: 1\nthreads: 2\n") ==
        "narwhal.yaml:2:1: unexpected text: the indentation is wrong, or the value before it is complete");
}

TEST_CASE("config file: bytes that are not UTF-8 are reported with their place") {
  CHECK(fault("app: a\nx: \xff") == "narwhal.yaml:2:4: this byte is not UTF-8 text");
  CHECK(fault("x: \xc3\xa9\xc0\x80") == "narwhal.yaml:1:5: this byte is not UTF-8 text");
  CHECK(fault(std::string("x: \0", 4)) == "narwhal.yaml:1:4: this byte is not UTF-8 text");
  CHECK(fault("x: \xed\xa0\x80") == "narwhal.yaml:1:4: this byte is not UTF-8 text");
  CHECK(good("proc_name: \xc3\xa9t\xc3\xa9").proc_name == "\xc3\xa9t\xc3\xa9");
  for (const char* escape : {"\\N", "\\_"}) {
    CHECK(fault("app: a\nproc_name: \"" + std::string(escape) + "\"") ==
          "narwhal.yaml:2:12: the escapes \\N and \\_ are not supported: write the character itself");
  }
  CHECK(good("proc_name: \"\\xe9\\L\"").proc_name == "\xc3\xa9\xe2\x80\xa8");
}

TEST_CASE("config file: bytes that a path, name or variable cannot contain are refused even if they are escaped") {
  CHECK(fault("app: \"a\\0b\"") == "narwhal.yaml:1:6: app: contains a control character");
  CHECK(fault("app: a\noptions: {x: \"\\0\"}") == "narwhal.yaml:2:14: options: contains a NUL byte");
  CHECK(fault("raw_env: [\"A=\\0\"]") == "narwhal.yaml:1:11: raw_env: contains a NUL byte");
  CHECK(fault("bind: \"unix:/a\\n\"").ends_with("the path contains a control character"));
  const std::string name(200, 'n');
  CHECK(good("app: a\noptions:\n  " + name + ": 1").routes.front().options == narwhal::Options{{name, "1"}});
  CHECK(fault("app: a\noptions:\n  " + name + "n: 1") ==
        "narwhal.yaml:3:3: options: contains a name of 201 bytes: use at most 200");
  CHECK(good("app: a\noptions: {x: \"a\\nb\"}").routes.front().options == narwhal::Options{{"x", "a\nb"}});
}

TEST_CASE("config file: anchors may be used, but not as a bomb") {
  const Config config = good(
      "routes:\n  - {prefix: /a, app: x, options: &o {k: v}}\n"
      "  - {prefix: /b, app: x, options: *o}\n");
  REQUIRE(config.routes.size() == 2);
  CHECK(config.routes[1].options == narwhal::Options{{"k", "v"}});

  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 14; ++i) {
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) bomb += (j ? ", *a" : "*a") + std::to_string(i - 1);
    bomb += "]\n";
  }
  CHECK(fault(bomb).find("more than 50000 values") != std::string::npos);
  CHECK(fault("app: &a [*a]") == "narwhal.yaml:1:10: this alias is inside the value that it refers to");
}

TEST_CASE("config file: size and depth are bounded") {
  CHECK(fault(std::string(100'000, '[')).starts_with("narwhal.yaml:1:"));
  CHECK(fault("app: " + std::string(20, '[') + std::string(20, ']')).find("nested more than 16 levels deep") !=
        std::string::npos);
  CHECK(fault(std::string(1024 * 1024 + 1, '#')) == "narwhal.yaml: is larger than 1 MiB");
  CHECK(good(std::string(1024 * 1024, '#')) == Config{});
}

TEST_CASE("routes: app and options are the root's; longest prefix comes first") {
  const Config config = good(R"(
app: ./front.so
options: {greeting: hello}
routes:
  - prefix: /shop/
    app: shop
  - prefix: /shop/admin
    app: ./admin.so
    options: {}
)");
  REQUIRE(config.routes.size() == 3);
  CHECK(config.routes[0] == narwhal::Route{"/shop/admin", "./admin.so", {}});
  CHECK(config.routes[1] == narwhal::Route{"/shop", "shop", {}});
  CHECK(config.routes[2] == narwhal::Route{"", "./front.so", {{"greeting", "hello"}}});
}

TEST_CASE("routes: the root may be in the list") {
  const Config config = good("routes: [{prefix: /, app: a, options: {k: v}}]");
  REQUIRE(config.routes.size() == 1);
  CHECK(config.routes[0] == narwhal::Route{"", "a", {{"k", "v"}}});
}

TEST_CASE("routes: one may have its own time limits") {
  using namespace std::chrono_literals;
  const Config config = good(
      "timeout: 7\nroutes:\n  - {prefix: /, app: a, timeout: 5}\n  - {prefix: /b, app: b, timeout: 0, soft_timeout: "
      "2}\n"
      "  - {prefix: /c, app: c, timeout: null}");
  REQUIRE(config.routes.size() == 3);
  CHECK(config.routes[0] == narwhal::Route{"/b", "b", {}, "", 0s, 2s});
  CHECK(config.routes[1] == narwhal::Route{"/c", "c", {}});
  CHECK(config.routes[2] == narwhal::Route{"", "a", {}, "", 5s});
  CHECK(fault("routes: [{prefix: /, app: a, timeout: x}]") ==
        "narwhal.yaml:1:39: timeout: 'x' is not a whole number of seconds");
  CHECK(fault("routes: [{prefix: /, app: a, soft_timeout: 90000}]") ==
        "narwhal.yaml:1:44: soft_timeout: 90000 is out of range: it must be 0 to 86400");
  CHECK(fault("routes: [{prefix: /, app: a, timeout: [1]}]") ==
        "narwhal.yaml:1:39: timeout: is a list, not a single value");
}

TEST_CASE("routes: one may be for some hosts alone") {
  using narwhal::Route;
  const std::vector<Route> routes = good(R"(
app: front
routes:
  - {host: Shop.Example., app: shop}
  - {host: ["*.shop.example", "[0::1]"], prefix: /cart/, app: cart}
  - {prefix: /cart, app: other}
)")
                                        .routes;
  REQUIRE(routes.size() == 4);
  CHECK(routes[0] == Route{"/cart", "cart", {}, "", {}, {}, {"*.shop.example", "[::1]"}});
  CHECK(routes[1] == Route{"/cart", "other", {}});
  CHECK(routes[2] == Route{"", "shop", {}, "", {}, {}, {"shop.example"}});
  CHECK(routes[3] == Route{"", "front", {}});
  CHECK(routes[0].name() == "*.shop.example/cart");
  CHECK(routes[2].name() == "shop.example/");
  CHECK(routes[3].name() == "/");
  CHECK(good("routes: [{host: a.example, app: a}, {host: b.example, app: b}]").routes.size() == 2);
}

TEST_CASE("routes: a mistake in a host is reported where it is") {
  const auto place = [](const std::string& host) { return fault("routes: [{prefix: /, host: " + host + ", app: x}]"); };
  CHECK(place("shop.example:80") ==
        "narwhal.yaml:1:28: host: 'shop.example:80' has a port: hosts are compared without it, so leave it out");
  CHECK(place("\"*\"") ==
        "narwhal.yaml:1:28: host: '*' would be every host: leave 'host' out for requests to any other host");
  CHECK(place("[a.example, http://b.example/]") ==
        "narwhal.yaml:1:40: host: 'http://b.example/' is a URL or a path: name the host alone");
  CHECK(place("[]") == "narwhal.yaml:1:28: host: is an empty list: leave 'host' out for requests to any other host");
  CHECK(place("") == "narwhal.yaml:1:28: host: is an empty value, not the name of a host such as 'shop.example'");
  CHECK(place("{a: b}") == "narwhal.yaml:1:28: host: is a map, not the name of a host such as 'shop.example'");
  CHECK(place("[a.example, A.example]") == "narwhal.yaml:1:40: host: 'A.example' appears twice");
}

TEST_CASE("routes: a prefix may be there once for each host") {
  CHECK(fault("routes: [{host: [a.example, b.example], prefix: /x, app: x}, {host: B.example, prefix: /x/, app: y}]") ==
        "narwhal.yaml:1:62: routes: prefix '/x/' appears twice for host 'b.example'");
  CHECK(fault("routes: [{host: a.example, app: x}, {host: a.example, prefix: /, app: y}]") ==
        "narwhal.yaml:1:37: routes: prefix '/' appears twice for host 'a.example'");
  CHECK(fault("routes: [{prefix: /, app: x}, {prefix: /, app: y}]") ==
        "narwhal.yaml:1:31: routes: prefix '/' appears twice");
}

TEST_CASE("routes: one says what a slash at the end of a path means") {
  using narwhal::TrailingSlash;
  const auto slashes = [](const std::string& word) {
    return good("routes: [{prefix: /x, app: x, trailing_slash: " + word + "}]").routes.front().trailing_slash;
  };
  CHECK(slashes("strict") == TrailingSlash::strict);
  CHECK(slashes("tolerant") == TrailingSlash::tolerant);
  for (const char* word : {"as_sent", "", "null"}) CHECK(slashes(word) == TrailingSlash::as_sent);
  CHECK(fault("routes: [{prefix: /x, app: x, trailing_slash: true}]") ==
        "narwhal.yaml:1:47: trailing_slash: 'true' is not a way to treat slashes: use as_sent, strict or tolerant");
  CHECK(fault("routes: [{prefix: /x, app: x, trailing_slash: [strict]}]") ==
        "narwhal.yaml:1:47: trailing_slash: is a list, not a single value");
  CHECK(fault("routes: [{prefix: /x, app: x, trailing_slahs: strict}]") ==
        "narwhal.yaml:1:31: unknown key 'trailing_slahs': did you mean 'trailing_slash'?");
}

TEST_CASE("routes: a mistake in one is reported") {
  CHECK(fault("routes: [{prefix: /a, app: x}, {prefix: /a/, app: y}]") ==
        "narwhal.yaml:1:32: routes: prefix '/a/' appears twice");
  CHECK(fault("app: a\nroutes: [{prefix: /, app: b}]") ==
        "narwhal.yaml:2:10: routes: '/' already has an application, at narwhal.yaml:1:6: app");
  CHECK(fault("routes: [{app: x}]") == "narwhal.yaml:1:10: routes: 'prefix' is missing (\"/\" is the root)");
  CHECK(fault("routes: [{prefix: /x}]") == "narwhal.yaml:1:10: routes: 'app' is missing");
  CHECK(fault("routes: [{prefix: /x, ap: y, app: x}]") == "narwhal.yaml:1:23: unknown key 'ap': did you mean 'app'?");
  CHECK(fault("routes: {prefix: /x}") == "narwhal.yaml:1:9: routes: is a map, not a list of {prefix, app, options}");
  CHECK(fault("routes: [{prefix: /a/../b, app: x}]") ==
        "narwhal.yaml:1:10: routes: prefix '/a/../b' contains a segment '.' or '..'");
  CHECK(fault("routes: [{prefix: /a//b, app: x}]").find("an empty segment") != std::string::npos);
  CHECK(fault("routes: [{prefix: \"/a?b\", app: x}]").find("contains a character that is not allowed in a prefix") !=
        std::string::npos);
  CHECK(fault("routes: [{prefix: \"/caf%C3%A9\", app: x}]").find("contains '%'") != std::string::npos);
  CHECK(fault("app: [a]") == "narwhal.yaml:1:6: app: is a list, not the path or name of an application");
  CHECK(fault("app: ''") == "narwhal.yaml:1:6: app: is empty, not the path or name of an application");
  CHECK(fault("app: a\noptions: {x: [1]}") == "narwhal.yaml:2:14: options.x: is a list, not a single value");
  CHECK(fault("options: {x: 1}\nroutes: [{prefix: /a, app: b}]") ==
        "narwhal.yaml:1:1: options: these options belong to 'app', which is missing");
}
