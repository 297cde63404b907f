#include "core/ip_ranges.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace narwhal;

namespace {

IpRanges ranges_of(std::string_view list) {
  IpRanges ranges;
  const Result<Done> added = ranges.add(list);
  if (!added) FAIL(added.error());
  return ranges;
}

std::string fault_of(std::string_view list) {
  IpRanges ranges;
  const Result<Done> added = ranges.add(list);
  CHECK(ranges.empty());
  return added ? "" : added.error();
}

}  // namespace

TEST_CASE("ip ranges: an address is in those ranges whose first bits it shares") {
  struct Row {
    const char *list, *address;
    bool in;
  };
  const Row rows[] = {
      {"127.0.0.1", "127.0.0.1", true},
      {"127.0.0.1", "127.0.0.2", false},
      {"127.0.0.1,::1", "::1", true},
      {" 127.0.0.1 ,\t::1 ", "127.0.0.1", true},
      {"10.0.0.0/8", "10.255.255.255", true},
      {"10.0.0.0/8", "11.0.0.0", false},
      {"10.0.0.0/8", "9.255.255.255", false},
      {"192.0.2.128/25", "192.0.2.128", true},
      {"192.0.2.128/25", "192.0.2.127", false},
      {"192.0.2.4/30", "192.0.2.7", true},
      {"192.0.2.4/30", "192.0.2.8", false},
      {"192.0.2.4/31", "192.0.2.5", true},
      {"192.0.2.4/31", "192.0.2.6", false},
      {"192.0.2.4/32", "192.0.2.4", true},
      {"192.0.2.4/32", "192.0.2.5", false},
      {"0.0.0.0/0", "203.0.113.9", true},
      {"0.0.0.0/0", "2001:db8::1", false},
      {"::/0", "2001:db8::1", true},
      {"::/0", "203.0.113.9", false},
      {"*", "203.0.113.9", true},
      {"*", "2001:db8::1", true},
      {"2001:db8::/32", "2001:db8:ffff::1", true},
      {"2001:db8::/32", "2001:db9::1", false},
      {"2001:db8::/127", "2001:db8::1", true},
      {"2001:db8::/127", "2001:db8::2", false},
      {"2001:DB8::1", "2001:0db8:0:0::1", true},
      // an IPv4 address, however it is written
      {"192.0.2.0/24", "::ffff:192.0.2.1", true},
      {"::ffff:192.0.2.0/120", "192.0.2.1", true},
      {"::ffff:192.0.2.1", "192.0.2.1", true},
      {"::ffff:192.0.2.0/120", "192.0.3.1", false},
      {"", "127.0.0.1", false},
      // not addresses
      {"*", "", false},
      {"*", "unknown", false},
      {"*", "127.0.0.1:80", false},
      {"*", "[::1]", false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.list);
    CAPTURE(row.address);
    CHECK(ranges_of(row.list).contains(std::string_view(row.address)) == row.in);
  }
}

TEST_CASE("ip ranges: a malformed item is named") {
  CHECK(fault_of("127.0.0.1,10.0.0.256") == "'10.0.0.256' is not an IP address or a range such as 10.0.0.0/8");
  CHECK(fault_of("localhost") == "'localhost' is not an IP address or a range such as 10.0.0.0/8");
  CHECK(fault_of("127.0.0.1,") == "'' is not an IP address or a range such as 10.0.0.0/8");
  CHECK(fault_of(",") == "'' is not an IP address or a range such as 10.0.0.0/8");
  CHECK(fault_of("127.0.0.1 10.0.0.1") == "'127.0.0.1 10.0.0.1' is not an IP address or a range such as 10.0.0.0/8");
  CHECK(fault_of("010.0.0.1") == "'010.0.0.1' is not an IP address or a range such as 10.0.0.0/8");
  CHECK(fault_of("fe80::1%eth0") == "'fe80::1%eth0' is not an IP address or a range such as 10.0.0.0/8");
  CHECK(fault_of("*/8") == "'*/8' is not an IP address or a range such as 10.0.0.0/8");
  CHECK(fault_of("10.0.0.0/33") == "'10.0.0.0/33': the prefix length after the slash must be 0 to 32");
  CHECK(fault_of("10.0.0.0/") == "'10.0.0.0/': the prefix length after the slash must be 0 to 32");
  CHECK(fault_of("10.0.0.0/08") == "'10.0.0.0/08': the prefix length after the slash must be 0 to 32");
  CHECK(fault_of("10.0.0.0/+8") == "'10.0.0.0/+8': the prefix length after the slash must be 0 to 32");
  CHECK(fault_of("10.0.0.0/8/8") == "'10.0.0.0/8/8': the prefix length after the slash must be 0 to 32");
  CHECK(fault_of("10.0.0.0/99999999999") ==
        "'10.0.0.0/99999999999': the prefix length after the slash must be 0 to 32");
  CHECK(fault_of("2001:db8::/129") == "'2001:db8::/129': the prefix length after the slash must be 0 to 128");
  CHECK(fault_of("10.1.2.3/8") == "'10.1.2.3/8' has bits after its prefix: did you mean '10.0.0.0/8'?");
  CHECK(fault_of("2001:db8::1/64") == "'2001:db8::1/64' has bits after its prefix: did you mean '2001:db8::/64'?");
  CHECK(fault_of(std::string_view("127.0.0.1\0", 10)).find("is not an IP address") != std::string::npos);
}

TEST_CASE("ip ranges: their texts are read back as the same ranges") {
  const std::vector<std::string> texts{"127.0.0.1", "::1", "10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "*"};
  IpRanges ranges;
  for (const std::string& text : texts) REQUIRE(ranges.add(text));
  CHECK(ranges.texts() == texts);
  CHECK(ranges == ranges_of("127.0.0.1,::1,10.0.0.0/8,0.0.0.0/0,2001:db8::/32,*"));
  CHECK_FALSE(ranges == ranges_of("127.0.0.1"));
}
