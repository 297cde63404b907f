#include "worker/front.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>

#include <string>
#include <string_view>

using namespace narwhal;
using namespace narwhal::worker;
using protocol::Head;
using protocol::Refusal;
using protocol::Status;

namespace {

Peer peer_of(const char* address) {
  sockaddr_storage from{};
  auto& in = reinterpret_cast<sockaddr_in&>(from);
  in.sin_family = AF_INET;
  in.sin_port = htons(4711);
  REQUIRE(::inet_pton(AF_INET, address, &in.sin_addr) == 1);
  return Peer::of(from);
}

// One request as the worker sees it: decoded, then put before the Front.
struct Seen {
  std::string bytes;
  Head head;
  std::string_view client;
  Refusal refusal;
  bool concerned = false;

  Seen(Front& front, Peer peer, const std::string& fields, const std::string& target = "/")
      : bytes("GET " + target + " HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n") {
    REQUIRE(protocol::decode_head(bytes, 0, {}, head).status == Status::complete);
    concerned = front.concerns(head);
    if (concerned) refusal = front.apply(head, peer, client);
  }
  std::string names() const {
    std::string all;
    for (const Field& field : head.fields) all += (all.empty() ? "" : " ") + std::string(field.name.view());
    return all;
  }
};

const char* const outside = "198.51.100.7";

}  // namespace

TEST_CASE("front: a head without any field of its concern costs a look at three words") {
  const Config config;
  Front front(config);
  CHECK_FALSE(Seen(front, peer_of("127.0.0.1"), "").concerned);
  CHECK_FALSE(Seen(front, peer_of("127.0.0.1"), "Accept: */*\r\nUser-Agent: wrk_2\r\nConnection: close\r\n").concerned);
  CHECK(Seen(front, peer_of("127.0.0.1"), "X-Forwarded-For: 1.2.3.4\r\n").concerned);
  CHECK(Seen(front, peer_of("127.0.0.1"), "Forwarded: for=1.2.3.4\r\n").concerned);
  CHECK(Seen(front, peer_of("127.0.0.1"), "X_Y: 1\r\n").concerned);
}

TEST_CASE("front: only a trusted peer names its client") {
  const Config config;
  Front front(config);
  const std::string fields = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n";
  const Seen trusted(front, peer_of("127.0.0.1"), fields);
  CHECK(trusted.client == "203.0.113.9");
  CHECK(trusted.head.scheme.view() == "https");
  const Seen by_socket(front, Peer{}, fields);  // a Unix socket's
  CHECK(by_socket.client == "203.0.113.9");
  CHECK(by_socket.head.scheme.view() == "https");
  const Seen stranger(front, peer_of(outside), fields);
  CHECK(stranger.client.empty());
  CHECK(stranger.head.scheme.view().empty());
  CHECK_FALSE(stranger.refusal);
  CHECK(stranger.names() == "Host X-Forwarded-For X-Forwarded-Proto");
  const Seen broken(front, peer_of(outside), "Forwarded: \"\r\nX-Forwarded-For: 1.1.1.1\r\n");
  CHECK_FALSE(broken.refusal);
}

TEST_CASE("front: forwarded_allow_ips says who is trusted") {
  Config config;
  config.forwarded_allow_ips = IpRanges("198.51.100.0/24");
  Front front(config);
  CHECK(Seen(front, peer_of(outside), "X-Forwarded-For: 203.0.113.9\r\n").client == "203.0.113.9");
  CHECK(Seen(front, peer_of("127.0.0.1"), "X-Forwarded-For: 203.0.113.9\r\n").client.empty());
  Config nobody;
  nobody.forwarded_allow_ips = {};
  Front closed(nobody);
  CHECK(Seen(closed, peer_of("127.0.0.1"), "X-Forwarded-For: 203.0.113.9\r\n").client.empty());
  Config anybody;
  anybody.forwarded_allow_ips = IpRanges("*");
  Front open(anybody);
  CHECK(Seen(open, peer_of(outside), "X-Forwarded-For: 203.0.113.9\r\n").client == "203.0.113.9");
}

TEST_CASE("front: secure_scheme_headers decide the scheme, and must agree") {
  const Config config;
  Front front(config);
  const auto scheme = [&](const std::string& fields, const char* from = "127.0.0.1") {
    const Seen seen(front, peer_of(from), fields);
    return seen.refusal ? std::to_string(seen.refusal.http_status) : std::string(seen.head.scheme.view());
  };
  CHECK(scheme("X-Forwarded-Proto: https\r\n") == "https");
  CHECK(scheme("x-forwarded-proto: HTTPS\r\n") == "https");
  CHECK(scheme("X-Forwarded-Protocol: ssl\r\n") == "https");
  CHECK(scheme("X-Forwarded-Ssl: on\r\n") == "https");
  CHECK(scheme("X-Forwarded-Proto: http\r\n") == "http");
  CHECK(scheme("X-Forwarded-Proto: https, http\r\n") == "http");
  CHECK(scheme("X-Forwarded-Proto: \r\n") == "http");
  CHECK(scheme("X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: on\r\n") == "https");
  CHECK(scheme("X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n") == "400");
  CHECK(scheme("X-Forwarded-Proto: http\r\nX-Forwarded-Protocol: ssl\r\n") == "400");
  CHECK(scheme("X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n") == "400");
  CHECK(scheme("X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n", outside).empty());
}

TEST_CASE("front: a field of one's own can mean https") {
  Config config;
  config.secure_scheme_headers = {{"Front-End-Https", "on"}};
  Front front(config);
  CHECK(Seen(front, peer_of("127.0.0.1"), "Front-End-Https: on\r\n").head.scheme.view() == "https");
  CHECK(Seen(front, peer_of("127.0.0.1"), "X-Forwarded-Proto: https\r\n").head.scheme.view().empty());
}

TEST_CASE("front: a target with https is for a trusted peer to pass on") {
  const Config config;
  Front front(config);
  CHECK(Seen(front, peer_of(outside), "", "HTTPS://x/").refusal.http_status == 421);
  CHECK_FALSE(Seen(front, peer_of(outside), "", "http://x/").refusal);
  const Seen trusted(front, peer_of("127.0.0.1"), "", "https://x/");
  CHECK_FALSE(trusted.refusal);
  CHECK(trusted.head.scheme.view() == "https");
}

TEST_CASE("front: header_map says what becomes of names with an underscore") {
  const std::string fields = "A-B: 1\r\nA_B: 2\r\nPath_Info: 3\r\nC: 4\r\nscript_name: 5\r\n_: 6\r\n";
  Config config;
  Front drops(config);
  CHECK(Seen(drops, peer_of(outside), fields).names() == "Host A-B C");
  CHECK(Seen(drops, peer_of("127.0.0.1"), fields).names() == "Host A-B Path_Info C script_name");

  Config refusing;
  refusing.header_map = HeaderMap::refuse;
  Front refuses(refusing);
  CHECK(Seen(refuses, peer_of("127.0.0.1"), fields).refusal.http_status == 400);
  CHECK(Seen(refuses, peer_of(outside), "SCRIPT_NAME: /x\r\n").refusal.http_status == 400);
  CHECK_FALSE(Seen(refuses, peer_of("127.0.0.1"), "SCRIPT_NAME: /x\r\n").refusal);
  CHECK_FALSE(Seen(refuses, peer_of(outside), "A-B: 1\r\nA.B: a_b\r\n").refusal);

  Config dangerous;
  dangerous.header_map = HeaderMap::dangerous;
  Front keeps(dangerous);
  CHECK(Seen(keeps, peer_of(outside), fields).names() == "Host A-B A_B Path_Info C script_name _");

  Config forwarding;
  forwarding.forwarder_headers = {"*"};
  Front forwards(forwarding);
  CHECK(Seen(forwards, peer_of("127.0.0.1"), fields).names() == "Host A-B A_B Path_Info C script_name _");
  CHECK(Seen(forwards, peer_of(outside), fields).names() == "Host A-B C");
}

TEST_CASE("front: a PROXY header names the peer, and its trust is asked anew") {
  Config config;
  config.proxy_protocol = ProxyProtocol::either;
  Front front(config);
  Peer peer = peer_of("127.0.0.1");
  CHECK(Seen(front, peer, "X-Forwarded-For: 203.0.113.9\r\n").client == "203.0.113.9");
  const Front::Opening opening = front.open("PROXY TCP4 198.51.100.7 127.0.0.1 5 80\r\nGET", peer);
  CHECK(opening.status == Status::complete);
  CHECK(opening.consumed == 40);
  CHECK(peer.text() == outside);
  CHECK(peer.port == 5);
  CHECK(Seen(front, peer, "X-Forwarded-For: 203.0.113.9\r\n").client.empty());

  Peer by_socket;
  CHECK(front.open("PROXY TCP6 2001:db8::1 ::1 5 80\r\n", by_socket).status == Status::complete);
  CHECK(by_socket.text() == "2001:db8::1");
  CHECK(by_socket.family == Peer::Family::local);  // the socket is what it was
  CHECK(Seen(front, by_socket, "X-Forwarded-For: 203.0.113.9\r\n").client.empty());

  Peer unnamed = peer_of("127.0.0.1");
  CHECK(front.open("PROXY UNKNOWN\r\n", unnamed).status == Status::complete);
  CHECK(unnamed.text() == "127.0.0.1");
}

TEST_CASE("front: who may send a PROXY header must, nobody else may") {
  Config config;
  config.proxy_protocol = ProxyProtocol::v1;
  Front front(config);
  Peer proxy = peer_of("127.0.0.1"), stranger = peer_of(outside), by_socket;
  CHECK(front.open("GET / HTTP/1.1\r\n", proxy).refusal.http_status == 400);
  CHECK(front.open("GET / HTTP/1.1\r\n", by_socket).refusal.http_status == 400);
  CHECK(front.open("PROX", proxy).status == Status::need_more);
  CHECK(front.open("PROXY TCP4 1.2.3.4", stranger).refusal.http_status == 403);
  CHECK(front.open(std::string_view("\r\n\r\n\0\r\nQUIT\n\x21", 13), stranger).refusal.http_status == 403);
  CHECK(front.open("PROX", stranger).status == Status::need_more);
  const Front::Opening plain = front.open("GET / HTTP/1.1\r\n", stranger);
  CHECK(plain.status == Status::complete);
  CHECK(plain.consumed == 0);
  CHECK(stranger.text() == outside);
}
