// Names of hosts: how a request's and a setting's become comparable, and what a setting may not be.
#include <doctest/doctest.h>

#include <string>

#include "core/host_names.hpp"

using namespace narwhal;

namespace {

std::string host(std::string_view authority) {
  HostRoom room;
  return std::string(host_of(authority, room));
}

std::string good(std::string_view text) {
  Result<std::string> name = host_name(text);
  INFO(std::string(text));
  if (!name) FAIL(name.error());
  return *name;
}

std::string fault(std::string_view text) {
  Result<std::string> name = host_name(text);
  INFO(std::string(text));
  REQUIRE_FALSE(name);
  return name.error();
}

}  // namespace

TEST_CASE("host_of: without port, case and the dot at the end") {
  CHECK(host("shop.example") == "shop.example");
  CHECK(host("SHOP.Example:8080") == "shop.example");
  CHECK(host("shop.example.") == "shop.example");
  CHECK(host("shop.example.:80") == "shop.example");
  CHECK(host("shop.example:") == "shop.example");
  CHECK(host("192.0.2.1:80") == "192.0.2.1");
  CHECK(host("localhost") == "localhost");
}

TEST_CASE("host_of: an IPv6 address has one form") {
  CHECK(host("[::1]") == "[::1]");
  CHECK(host("[0:0:0:0:0:0:0:1]:8080") == "[::1]");
  CHECK(host("[2001:DB8::A]") == "[2001:db8::a]");
  CHECK(host("[::ffff:192.0.2.1]") == "[::ffff:192.0.2.1]");
}

TEST_CASE("host_of: what cannot be a host is none") {
  CHECK(host("").empty());
  CHECK(host(".").empty());
  CHECK(host(":80").empty());
  CHECK(host("[x]").empty());
  CHECK(host("[").empty());
  CHECK(host(std::string(host_bytes_max, 'a')).size() == host_bytes_max);
  CHECK(host(std::string(host_bytes_max, 'a') + ".").size() == host_bytes_max);
  CHECK(host(std::string(host_bytes_max + 1, 'a')).empty());
  CHECK(host(std::string(100000, 'a')).empty());
}

TEST_CASE("host_name: a name, a wildcard, an address") {
  CHECK(good("shop.example") == "shop.example");
  CHECK(good("Shop.Example.") == "shop.example");
  CHECK(good("*.Shop.example") == "*.shop.example");
  CHECK(good("*.example") == "*.example");
  CHECK(good("localhost") == "localhost");
  CHECK(good("my_service-1") == "my_service-1");
  CHECK(good("xn--bcher-kva.example") == "xn--bcher-kva.example");
  CHECK(good("192.0.2.1") == "192.0.2.1");
  for (const char* text : {"::1", "[::1]", "0:0::1", "[0:0:0:0:0:0:0:1]"}) CHECK(good(text) == "[::1]");
}

TEST_CASE("host_name: each mistake says what it is and what to write") {
  CHECK(fault("") == "is empty: leave 'host' out for requests to any other host");
  CHECK(fault("*") == "'*' would be every host: leave 'host' out for requests to any other host");
  CHECK(fault("http://shop.example") == "'http://shop.example' is a URL or a path: name the host alone");
  CHECK(fault("shop.example/cart") == "'shop.example/cart' is a URL or a path: name the host alone");
  CHECK(fault(".shop.example") == "'.shop.example' begins with a dot: write '*.shop.example'");
  for (const char* text : {"www.*", "*shop.example", "*.*.example", "a.*.example"})
    CHECK(fault(text) ==
          "'" + std::string(text) + "' has '*' in another place than its beginning, as in '*.shop.example'");
  for (const char* text : {"shop.example:80", "[::1]:80"})
    CHECK(fault(text) == "'" + std::string(text) + "' has a port: hosts are compared without it, so leave it out");
  CHECK(fault("[::1") == "'[::1' is not an IPv6 address");
  CHECK(fault("[shop]") == "'[shop]' is not an IPv6 address");
  CHECK(fault("shop..example") == "'shop..example' has two dots together, or one at its beginning");
  CHECK(fault("*.") == "'*.' has '*', which a name of a host cannot have");
  CHECK(fault("shop example") == "'shop example' has ' ', which a name of a host cannot have");
  CHECK(fault("b\xc3\xbc"
              "cher.example")
            .find("write it as browsers send it, in its form 'xn--...'") != std::string::npos);
  CHECK(fault(std::string(64, 'a') + ".example").find("has a part of more than 63 letters") != std::string::npos);
  std::string longest;
  for (int i = 0; i < 127; ++i) longest += "a.";
  CHECK(good(longest.substr(0, host_bytes_max)).size() == host_bytes_max);
  CHECK(fault(longest + "a").find("is longer than the 253 letters of a name") != std::string::npos);
}
