// The settings for proxies: lists of addresses and names, pairs, and a flag whose value is optional.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "server/config/command_line.hpp"
#include "server/config/config_layer.hpp"
#include "server/config/load_config.hpp"
#include "server/config/setting_values.hpp"

using namespace narwhal;
using namespace narwhal::server;

namespace {

Config good(const std::string& yaml) {
  Result<Config> config = parse_config(yaml, "n.yaml");
  if (!config) FAIL(config.error());
  return *std::move(config);
}

std::string fault(const std::string& yaml) {
  Result<Config> config = parse_config(yaml, "n.yaml");
  return config ? "" : config.error();
}

LoadResult load(std::vector<const char*> words, Environment environment = {}) {
  environment.start_directory = "/nonexistent";
  words.insert(words.begin(), "narwhal");
  return load_config(static_cast<int>(words.size()), words.data(), environment);
}

Config command(const std::vector<const char*>& words) {
  LoadResult loaded = load(words);
  if (!loaded) FAIL(loaded.error());
  return loaded->config;
}

}  // namespace

TEST_CASE("proxy settings: addresses come as one text, as a list, or both") {
  CHECK(good("forwarded_allow_ips: 10.0.0.0/8,::1").forwarded_allow_ips == IpRanges("10.0.0.0/8,::1"));
  CHECK(good("forwarded_allow_ips: [10.0.0.0/8, '::1,127.0.0.1']").forwarded_allow_ips ==
        IpRanges("10.0.0.0/8,::1,127.0.0.1"));
  CHECK(good("forwarded_allow_ips: '*'").forwarded_allow_ips == IpRanges("*"));
  CHECK(good("forwarded_allow_ips: ''").forwarded_allow_ips.empty());
  CHECK(good("forwarded_allow_ips: []").forwarded_allow_ips.empty());
  CHECK(good("proxy_allow_ips: 10.0.0.1").proxy_allow_ips == IpRanges("10.0.0.1"));
  CHECK(good("proxy_allow_ips: 10.0.0.1").forwarded_allow_ips == IpRanges("127.0.0.1,::1"));
  CHECK(fault("forwarded_allow_ips: [10.0.0.1, gateway]") ==
        "n.yaml:1:33: forwarded_allow_ips: 'gateway' is not an IP address or a range such as 10.0.0.0/8");
  CHECK(command({"a.so", "--forwarded-allow-ips", "10.0.0.1", "--forwarded-allow-ips=10.0.0.2,10.0.0.3"})
            .forwarded_allow_ips == IpRanges("10.0.0.1,10.0.0.2,10.0.0.3"));
  CHECK(command({"a.so", "--proxy-allow-from=*"}).proxy_allow_ips == IpRanges("*"));
}

TEST_CASE("proxy settings: FORWARDED_ALLOW_IPS is a default, as in Gunicorn") {
  Environment environment;
  environment.variables["FORWARDED_ALLOW_IPS"] = "10.0.0.1,10.0.0.2";
  LoadResult loaded = load({"a.so"}, environment);
  REQUIRE(loaded);
  CHECK(loaded->config.forwarded_allow_ips == IpRanges("10.0.0.1,10.0.0.2"));
  loaded = load({"a.so", "--forwarded-allow-ips", "*"}, environment);
  REQUIRE(loaded);
  CHECK(loaded->config.forwarded_allow_ips == IpRanges("*"));
  environment.variables["FORWARDED_ALLOW_IPS"] = "here";
  loaded = load({"a.so"}, environment);
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error() ==
        "environment variable FORWARDED_ALLOW_IPS: 'here' is not an IP address or a range such as 10.0.0.0/8");
}

TEST_CASE("proxy settings: fields that mean https are pairs, in a list or a map") {
  const Options expected{{"Front-End-Https", "on"}, {"X-Scheme", "https"}};
  CHECK(good("secure_scheme_headers: {Front-End-Https: 'on', X-Scheme: https}").secure_scheme_headers == expected);
  CHECK(good("secure_scheme_headers: [Front-End-Https=on, X-Scheme=https]").secure_scheme_headers == expected);
  CHECK(good("secure_scheme_headers: {}").secure_scheme_headers.empty());
  CHECK(command({"a.so", "--secure-scheme-headers", "X-Scheme=https"}).secure_scheme_headers ==
        Options{{"X-Scheme", "https"}});
  for (const char* wrong : {"X-Scheme", "'=https'", "X-Scheme=", "'X Scheme=https'", "'X:=1'"}) {
    CAPTURE(wrong);
    CHECK(fault("secure_scheme_headers: " + std::string(wrong))
              .find("is not NAME=VALUE, with the name of a header field") != std::string::npos);
  }
}

TEST_CASE("proxy settings: names of fields come as one text or as a list") {
  const std::vector<std::string> expected{"SCRIPT_NAME", "X_User"};
  CHECK(good("forwarder_headers: SCRIPT_NAME, X_User").forwarder_headers == expected);
  CHECK(good("forwarder_headers: [SCRIPT_NAME, X_User]").forwarder_headers == expected);
  CHECK(good("forwarder_headers: ''").forwarder_headers.empty());
  CHECK(good("forwarder_headers: '*'").forwarder_headers == std::vector<std::string>{"*"});
  CHECK(command({"a.so", "--forwarder-headers=SCRIPT_NAME,X_User"}).forwarder_headers == expected);
  CHECK(fault("forwarder_headers: 'a,,b'") == "n.yaml:1:20: forwarder_headers: '' is not the name of a header field");
  CHECK(fault("forwarder_headers: 'a b'") == "n.yaml:1:20: forwarder_headers: 'a b' is not the name of a header field");
}

TEST_CASE("proxy settings: each word has its meaning, and a wrong one is reported") {
  CHECK(good("header_map: Refuse").header_map == HeaderMap::refuse);
  CHECK(good("client_header: Forwarded").client_header == ClientHeader::forwarded);
  CHECK(good("client_header: x-forwarded-for").client_header == ClientHeader::x_forwarded_for);
  CHECK(good("app: a.so").client_header == ClientHeader::both);
  CHECK(fault("client_header: x_forwarded_for").find("did you mean 'x-forwarded-for'?") != std::string::npos);
  CHECK(good("header_map: dangerous").header_map == HeaderMap::dangerous);
  CHECK(fault("header_map: dorp") ==
        "n.yaml:1:13: header_map: 'dorp' is not a way to treat such headers: did you mean 'drop'?");
  CHECK(fault("header_map: keep") ==
        "n.yaml:1:13: header_map: 'keep' is not a way to treat such headers: use drop, refuse or dangerous");
  CHECK(good("proxy_protocol: v1").proxy_protocol == ProxyProtocol::v1);
  CHECK(good("proxy_protocol: V2").proxy_protocol == ProxyProtocol::v2);
  CHECK(good("proxy_protocol: auto").proxy_protocol == ProxyProtocol::either);
  CHECK(good("proxy_protocol: off").proxy_protocol == ProxyProtocol::off);
  CHECK(good("proxy_protocol: true").proxy_protocol == ProxyProtocol::either);
  CHECK(good("proxy_protocol: false").proxy_protocol == ProxyProtocol::off);
  CHECK(fault("proxy_protocol: v3").find("'v3' is not a PROXY protocol mode") != std::string::npos);
}

TEST_CASE("proxy settings: --proxy-protocol alone means auto, and does not take the APP after it as its value") {
  for (const std::vector<const char*>& words :
       std::vector<std::vector<const char*>>{{"a.so", "--proxy-protocol"},
                                             {"--proxy-protocol", "a.so"},
                                             {"--proxy-protocol", "--", "a.so"},
                                             {"--proxy-protocol", "-w", "2", "a.so"},
                                             {"--proxy-protocol=auto", "a.so"},
                                             {"--proxy-protocol", "auto", "a.so"}}) {
    CAPTURE(words.front());
    const Config config = command(words);
    CHECK(config.proxy_protocol == ProxyProtocol::either);
    CHECK(config.routes.front().app.ends_with("/a.so"));
  }
  CHECK(command({"--proxy-protocol", "v1", "a.so"}).proxy_protocol == ProxyProtocol::v1);
  CHECK(command({"--proxy-protocol=off", "a.so"}).proxy_protocol == ProxyProtocol::off);
  CHECK(command({"--", "a.so"}).proxy_protocol == ProxyProtocol::off);
  CHECK_FALSE(load({"--proxy-protocol=v3", "a.so"}));
}
