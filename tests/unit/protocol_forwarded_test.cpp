#include "protocol/forwarded.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace narwhal;
using namespace narwhal::protocol;

namespace {

using Lines = std::vector<std::pair<std::string, std::string>>;

const IpRanges trusted("10.0.0.0/8,fd00::/8");

// The client, "peer" where no field names one, or "400".
std::string client_of(const Lines& lines, const IpRanges& ranges = trusted, ClientHeader counts = ClientHeader::both) {
  std::vector<Field> fields;
  for (const auto& [name, value] : lines) fields.push_back({std::string_view(name), std::string_view(value)});
  const Client client = resolve_client(fields, "peer", ranges, counts);
  if (client.refusal) {
    CHECK(client.address.empty());
    return std::to_string(client.refusal.http_status);
  }
  return std::string(client.address);
}

std::string plain(const std::string& value) { return client_of({{"X-Forwarded-For", value}}); }
std::string rfc(const std::string& value) { return client_of({{"Forwarded", value}}); }

}  // namespace

TEST_CASE("forwarded: X-Forwarded-For is read from its end, over hops that are trusted") {
  CHECK(client_of({}) == "peer");
  CHECK(plain("") == "peer");
  CHECK(plain(" , ,") == "peer");
  CHECK(plain("203.0.113.9") == "203.0.113.9");
  CHECK(plain("6.6.6.6, 203.0.113.9") == "203.0.113.9");
  CHECK(plain("6.6.6.6, 203.0.113.9, 10.0.0.1") == "203.0.113.9");
  CHECK(plain("6.6.6.6,203.0.113.9,10.0.0.1,10.0.0.2") == "203.0.113.9");
  CHECK(plain("10.0.0.3, 10.0.0.1") == "10.0.0.3");  // all trusted: the first of them
  CHECK(plain("203.0.113.9, fd00::1") == "203.0.113.9");
  CHECK(plain("203.0.113.9, ::ffff:10.0.0.1") == "203.0.113.9");
  CHECK(plain("\t203.0.113.9 \t") == "203.0.113.9");
  CHECK(plain("203.0.113.9, , 10.0.0.1,") == "203.0.113.9");
  CHECK(client_of({{"X-Forwarded-For", "1.1.1.1, 10.0.0.1"}}, IpRanges("*")) == "1.1.1.1");
}

TEST_CASE("forwarded: an entry that is not an address ends the walk at the hop before it") {
  for (const char* odd : {"unknown",      "_hidden",         "203.0.113",       "203.0.113.256",        "203.0.113.09",
                          "localhost",    "203.0.113.9:",    "203.0.113.9:x",   "203.0.113.9:123456",   "[203.0.113.9]",
                          "[2001:db8::1", "2001:db8::1]",    "[2001:db8::1]x",  "[2001:db8::1]:",       "[]",
                          "fe80::1%eth0", "\"203.0.113.9\"", "for=203.0.113.9", "203.0.113.9 10.0.0.1", "203.0.113.9;",
                          "::1::",        "0x7f.1"}) {
    CAPTURE(odd);
    CHECK(plain(odd) == "peer");
    CHECK(plain("6.6.6.6, " + std::string(odd)) == "peer");
    CHECK(plain("6.6.6.6, " + std::string(odd) + ", 10.0.0.1") == "10.0.0.1");
    CHECK(plain(std::string(odd) + ", 203.0.113.9, 10.0.0.1") == "203.0.113.9");
  }
  CHECK(plain(std::string("203.0.113.9\0", 12)) == "peer");
  CHECK(plain(std::string(5000, '1')) == "peer");
}

TEST_CASE("forwarded: ports and brackets are understood, and are no part of the client") {
  CHECK(plain("203.0.113.9:4711") == "203.0.113.9");
  CHECK(plain("2001:db8::9") == "2001:db8::9");
  CHECK(plain("[2001:db8::9]") == "2001:db8::9");
  CHECK(plain("[2001:db8::9]:4711, 10.0.0.1:80") == "2001:db8::9");
  CHECK(plain("2001:DB8::9") == "2001:DB8::9");  // as written
}

TEST_CASE("forwarded: several lines of one name are one list, whatever the case of their names") {
  CHECK(client_of({{"X-Forwarded-For", "6.6.6.6"}, {"Accept", "*/*"}, {"x-forwarded-for", "203.0.113.9"}}) ==
        "203.0.113.9");
  CHECK(client_of({{"X-Forwarded-For", "203.0.113.9"}, {"X-FORWARDED-FOR", "10.0.0.1"}}) == "203.0.113.9");
  CHECK(client_of({{"X-Forwarded-For", "203.0.113.9"}, {"X-Forwarded-For", ""}}) == "203.0.113.9");
  CHECK(client_of({{"Forwarded", "for=6.6.6.6"}, {"forwarded", "for=203.0.113.9"}}) == "203.0.113.9");
  CHECK(client_of({{"FORWARDED", "for=203.0.113.9"}, {"Forwarded", "for=10.0.0.1"}}) == "203.0.113.9");
  CHECK(client_of({{"X-Forwarded_For", "203.0.113.9"}, {"X-Forwarded-For2", "6.6.6.6"}}) == "peer");
}

TEST_CASE("forwarded: RFC 7239's elements") {
  CHECK(rfc("for=203.0.113.9") == "203.0.113.9");
  CHECK(rfc("For=203.0.113.9;proto=http;by=203.0.113.43") == "203.0.113.9");
  CHECK(rfc("for=6.6.6.6, for=203.0.113.9") == "203.0.113.9");
  CHECK(rfc("for=203.0.113.9,for=10.0.0.1 , FOR=10.0.0.2") == "203.0.113.9");
  CHECK(rfc("for=10.0.0.3, for=10.0.0.1") == "10.0.0.3");
  CHECK(rfc("for=\"[2001:db8:cafe::17]:4711\"") == "2001:db8:cafe::17");
  CHECK(rfc("for=\"[2001:db8:cafe::17]\"") == "2001:db8:cafe::17");
  CHECK(rfc("for=\"203.0.113.9:80\"") == "203.0.113.9");
  CHECK(rfc("for=\"203.0.113.9:_port\"") == "203.0.113.9");
  CHECK(rfc("for=\"203.0.113.9\"") == "203.0.113.9");
  CHECK(rfc("by=\"a,b;c\\\"d\";for=203.0.113.9, for=10.0.0.1") == "203.0.113.9");
  CHECK(rfc("proto=https; for=203.0.113.9 ; host=a") == "203.0.113.9");
  CHECK(rfc(", for=203.0.113.9,,") == "203.0.113.9");
  CHECK(rfc("for=203.0.113.9;;proto=https") == "203.0.113.9");
}

TEST_CASE("forwarded: an element that names nobody ends the walk at the hop before it") {
  for (const char* odd : {"for=unknown",
                          "for=_hidden",
                          "for=\"_gazonk\"",
                          "for=\"_a:80\"",
                          "for=\"unknown:80\"",
                          "proto=https",
                          "for=203.0.113",
                          "for=203.0.113.9:80",
                          "for=[2001:db8::1]",
                          "for=2001:db8::1",
                          "for=\"2001:db8::1\"",
                          "for=\"203.0.113.9\\:80\"",
                          "for=\"\"",
                          "for=\"[203.0.113.9]\"",
                          "for=\" 203.0.113.9\"",
                          "for=203.0.113.9;for=203.0.113.9",
                          "for=x;for=203.0.113.9",
                          "for=203.0.113.9;for=x",
                          "for=(203.0.113.9)",
                          "xfor=203.0.113.9"}) {
    CAPTURE(odd);
    CHECK(rfc(odd) == "peer");
    CHECK(rfc("for=6.6.6.6, " + std::string(odd)) == "peer");
    CHECK(rfc("for=6.6.6.6, " + std::string(odd) + ", for=10.0.0.1") == "10.0.0.1");
    CHECK(rfc(std::string(odd) + ", for=203.0.113.9, for=10.0.0.1") == "203.0.113.9");
  }
}

TEST_CASE("forwarded: a last line whose parts are ambiguous is refused, an earlier one is not read") {
  for (const char* broken :
       {"for=\"", "for=\"203.0.113.9", "for=\"203.0.113.9\\\"", "for=\"203.0.113.9\"x", "for=203.0.113.9\"", "for",
        "for=", "=203.0.113.9", "for =203.0.113.9", "for= 203.0.113.9", "for=203.0.113.9 for=10.0.0.1",
        "\"for\"=203.0.113.9", "for=\"\\", "203.0.113.9", "for=a\"b\"", "for=203.0.113.9;=;"}) {
    CAPTURE(broken);
    CHECK(rfc(broken) == "400");
    CHECK(rfc("for=203.0.113.9, " + std::string(broken)) == "400");
    CHECK(client_of({{"Forwarded", broken}, {"Forwarded", "for=203.0.113.9"}}) == "203.0.113.9");
    CHECK(client_of({{"Forwarded", broken}, {"Forwarded", "for=10.0.0.1"}}) == "10.0.0.1");
    CHECK(client_of({{"Forwarded", "for=6.6.6.6"}, {"Forwarded", broken}}) == "400");
  }
  // What a client could send so that the proxy's own words, added to its line, are not seen for what they are.
  CHECK(rfc("for=6.6.6.6;x=\", for=203.0.113.9") == "400");
  CHECK(rfc("for=6.6.6.6;x=\", for=\"[2001:db8::9]\"") == "400");
  CHECK(rfc("for=6.6.6.6;x=\", for=\"[2001:db8::9]\";by=\"[2001:db8::1]\"") == "400");
  CHECK(rfc("for=6.6.6.6;x=\"\\, for=\"[2001:db8::9]\"") == "400");
}

TEST_CASE("forwarded: both fields have to name the same client") {
  const auto both = [](const std::string& x, const std::string& forwarded) {
    const std::string one = client_of({{"X-Forwarded-For", x}, {"Forwarded", forwarded}});
    CHECK(client_of({{"Forwarded", forwarded}, {"X-Forwarded-For", x}}) == one);
    return one;
  };
  CHECK(both("203.0.113.9", "for=203.0.113.9") == "203.0.113.9");
  CHECK(both("6.6.6.6, 203.0.113.9, 10.0.0.1", "for=203.0.113.9;proto=https") == "203.0.113.9");
  CHECK(both("2001:db8::9", "for=\"[2001:DB8:0::9]:80\"") == "2001:db8::9");
  CHECK(both("203.0.113.9", "for=6.6.6.6") == "400");
  CHECK(both("6.6.6.6", "for=203.0.113.9") == "400");
  CHECK(both("203.0.113.9", "for=unknown") == "400");
  CHECK(both("unknown", "for=203.0.113.9") == "400");
  CHECK(both("unknown", "for=_hidden") == "peer");
  // A field that says nothing of anybody contradicts nothing.
  CHECK(both("203.0.113.9", "proto=https;host=shop.example") == "203.0.113.9");
  CHECK(both("203.0.113.9", "") == "203.0.113.9");
  CHECK(both("", "for=203.0.113.9") == "203.0.113.9");
  CHECK(both("203.0.113.9", "for=\"") == "400");
}

TEST_CASE("forwarded: a list as long as a head may be is read in linear time") {
  std::string many;
  for (int count = 0; count < 60'000; ++count) many += "10.0.0.1, ";
  CHECK(plain(many + "203.0.113.9") == "203.0.113.9");
  CHECK(plain("203.0.113.9, " + many) == "203.0.113.9");
  std::string elements;
  for (int count = 0; count < 60'000; ++count) elements += "for=10.0.0.1, ";
  CHECK(rfc("for=203.0.113.9, " + elements) == "203.0.113.9");
}

TEST_CASE("forwarded: a proxy that adds the CDN to X-Forwarded-For alone does not make the two disagree") {
  const auto both = [](const std::string& plain, const std::string& rfc) {
    return client_of({{"X-Forwarded-For", plain}, {"Forwarded", rfc}});
  };
  CHECK(both("203.0.113.9, 198.51.100.1", "for=203.0.113.9") == "198.51.100.1");
  CHECK(both("203.0.113.9, 198.51.100.1, 10.0.0.1", "for=203.0.113.9;proto=https") == "198.51.100.1");
  CHECK(both("203.0.113.9:80, 198.51.100.1", "for=\"203.0.113.9:4711\"") == "198.51.100.1");
  CHECK(both("2001:db8::9, 2001:DB8::1", "for=\"[2001:db8:0::9]\"") == "2001:DB8::1");
  CHECK(both("203.0.113.9, 10.0.0.1", "for=203.0.113.9") == "203.0.113.9");  // the CDN is trusted: one client
  CHECK(client_of({{"X-Forwarded-For", "203.0.113.9"},
                   {"Forwarded", "for=203.0.113.9"},
                   {"X-Forwarded-For", "198.51.100.1"}}) == "198.51.100.1");
  // Of these one is a lie: whoever wrote X-Forwarded-For last was asked by its last address.
  CHECK(both("203.0.113.9", "for=6.6.6.6") == "400");
  CHECK(both("203.0.113.9, 198.51.100.1", "for=6.6.6.6") == "400");
  CHECK(both("203.0.113.9", "for=203.0.113.9, for=6.6.6.6") == "400");
  CHECK(both("203.0.113.9, 198.51.100.1", "for=203.0.113.9, for=6.6.6.6") == "400");
  CHECK(both("unknown, 198.51.100.1", "for=unknown") == "400");
}

TEST_CASE("forwarded: a setting says which of the two counts") {
  const Lines lines{{"X-Forwarded-For", "203.0.113.9"}, {"Forwarded", "for=198.51.100.1"}};
  CHECK(client_of(lines, trusted, ClientHeader::both) == "400");
  CHECK(client_of(lines, trusted, ClientHeader::x_forwarded_for) == "203.0.113.9");
  CHECK(client_of(lines, trusted, ClientHeader::forwarded) == "198.51.100.1");
  const Lines broken{{"X-Forwarded-For", "203.0.113.9"}, {"Forwarded", "for=\"198.51.100.1"}};
  CHECK(client_of(broken, trusted, ClientHeader::x_forwarded_for) == "203.0.113.9");
  CHECK(client_of(broken, trusted, ClientHeader::forwarded) == "400");
  const Lines plain_only{{"X-Forwarded-For", "203.0.113.9"}};
  CHECK(client_of(plain_only, trusted, ClientHeader::forwarded) == "peer");
}
