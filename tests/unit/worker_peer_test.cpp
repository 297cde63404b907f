#include "worker/peer.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>
#include <random>
#include <string>

using namespace narwhal::worker;

namespace {

Peer v4(const std::string& address, std::uint16_t port) {
  sockaddr_storage from{};
  auto& in = reinterpret_cast<sockaddr_in&>(from);
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  REQUIRE(::inet_pton(AF_INET, address.c_str(), &in.sin_addr) == 1);
  return Peer::of(from);
}

Peer v6(const in6_addr& address, std::uint16_t port) {
  sockaddr_storage from{};
  auto& in = reinterpret_cast<sockaddr_in6&>(from);
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port);
  in.sin6_addr = address;
  return Peer::of(from);
}

Peer v6(const std::string& address, std::uint16_t port) {
  in6_addr bytes{};
  REQUIRE(::inet_pton(AF_INET6, address.c_str(), &bytes) == 1);
  return v6(bytes, port);
}

}  // namespace

TEST_CASE("peer: an IPv4 client by its dotted address and port") {
  for (const std::string address : {"0.0.0.0", "127.0.0.1", "9.10.99.100", "255.255.255.255", "1.20.255.4"}) {
    const Peer peer = v4(address, 65'535);
    CHECK(peer.family == Peer::Family::v4);
    CHECK(peer.text() == address);
    CHECK(peer.port == 65'535);
  }
}

TEST_CASE("peer: an IPv6 client as inet_ntop writes it, the longest one too") {
  std::mt19937 random(6);
  for (int round = 0; round < 500; ++round) {
    in6_addr address{};
    for (unsigned char& byte : address.s6_addr) byte = random() % 3 == 0 ? 0 : static_cast<unsigned char>(random());
    if (IN6_IS_ADDR_V4MAPPED(&address)) continue;
    char expected[INET6_ADDRSTRLEN];
    ::inet_ntop(AF_INET6, &address, expected, sizeof expected);
    const Peer peer = v6(address, static_cast<std::uint16_t>(round));
    CHECK(peer.family == Peer::Family::v6);
    CHECK(peer.text() == expected);
    CHECK(peer.port == round);
  }
  const std::string longest = "abcd:abcd:abcd:abcd:abcd:abcd:abcd:abcd";
  CHECK(v6(longest, 1).text() == longest);
  CHECK(v6("::1", 1).text() == "::1");
  CHECK(v6("::", 1).text() == "::");
}

TEST_CASE("peer: an IPv4 client of a dual-stack socket is an IPv4 client") {
  const Peer peer = v6("::ffff:192.0.2.17", 4711);
  CHECK(peer.family == Peer::Family::v4);
  CHECK(peer.text() == "192.0.2.17");
  CHECK(peer.port == 4711);
  CHECK(v6("::fffe:192.0.2.17", 1).family == Peer::Family::v6);
}

TEST_CASE("peer: a client on a Unix socket has no address") {
  sockaddr_storage from{};
  reinterpret_cast<sockaddr_un&>(from).sun_family = AF_UNIX;
  const Peer peer = Peer::of(from);
  CHECK(peer.family == Peer::Family::local);
  CHECK(peer.text().empty());
  CHECK(peer.port == 0);
  // What accept() says of an unbound client's address may be no family at all.
  CHECK(Peer::of(sockaddr_storage{}).family == Peer::Family::local);
}
