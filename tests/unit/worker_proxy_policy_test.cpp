#include "worker/proxy_policy.hpp"

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

// One request as the worker sees it: decoded, then put before the policy.
struct Seen {
  std::string bytes;
  Head head;
  std::string_view client;
  Refusal refusal;
  bool applies = false;

  Seen(ProxyPolicy& policy, Peer peer, const std::string& fields, const std::string& target = "/")
      : bytes("GET " + target + " HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n") {
    REQUIRE(protocol::decode_head(bytes, 0, {}, head).status == Status::complete);
    applies = policy.applies_to(head);
    if (applies) refusal = policy.apply(head, peer, client);
  }
  std::string names() const {
    std::string all;
    for (const Field& field : head.fields) all += (all.empty() ? "" : " ") + std::string(field.name.view());
    return all;
  }
};

const char* const outside = "198.51.100.7";

}  // namespace

TEST_CASE("proxy policy: a head without any field of its concern costs a look at three words") {
  const Config config;
  ProxyPolicy policy(config);
  CHECK_FALSE(Seen(policy, peer_of("127.0.0.1"), "").applies);
  CHECK_FALSE(Seen(policy, peer_of("127.0.0.1"), "Accept: */*\r\nUser-Agent: wrk_2\r\nConnection: close\r\n").applies);
  CHECK(Seen(policy, peer_of("127.0.0.1"), "X-Forwarded-For: 1.2.3.4\r\n").applies);
  CHECK(Seen(policy, peer_of("127.0.0.1"), "Forwarded: for=1.2.3.4\r\n").applies);
  CHECK(Seen(policy, peer_of("127.0.0.1"), "X_Y: 1\r\n").applies);
}

TEST_CASE("proxy policy: only a trusted peer names its client") {
  const Config config;
  ProxyPolicy policy(config);
  const std::string fields = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n";
  const Seen trusted(policy, peer_of("127.0.0.1"), fields);
  CHECK(trusted.client == "203.0.113.9");
  CHECK(trusted.head.scheme.view() == "https");
  const Seen by_socket(policy, Peer{}, fields);  // a Unix socket's
  CHECK(by_socket.client == "203.0.113.9");
  CHECK(by_socket.head.scheme.view() == "https");
  const Seen stranger(policy, peer_of(outside), fields);
  CHECK(stranger.client.empty());
  CHECK(stranger.head.scheme.view().empty());
  CHECK_FALSE(stranger.refusal);
  CHECK(stranger.names() == "Host X-Forwarded-For X-Forwarded-Proto");
  const Seen broken(policy, peer_of(outside), "Forwarded: \"\r\nX-Forwarded-For: 1.1.1.1\r\n");
  CHECK_FALSE(broken.refusal);
}

TEST_CASE("proxy policy: forwarded_allow_ips says who is trusted") {
  Config config;
  config.forwarded_allow_ips = IpRanges("198.51.100.0/24");
  ProxyPolicy policy(config);
  CHECK(Seen(policy, peer_of(outside), "X-Forwarded-For: 203.0.113.9\r\n").client == "203.0.113.9");
  CHECK(Seen(policy, peer_of("127.0.0.1"), "X-Forwarded-For: 203.0.113.9\r\n").client.empty());
  Config nobody;
  nobody.forwarded_allow_ips = {};
  ProxyPolicy closed(nobody);
  CHECK(Seen(closed, peer_of("127.0.0.1"), "X-Forwarded-For: 203.0.113.9\r\n").client.empty());
  Config anybody;
  anybody.forwarded_allow_ips = IpRanges("*");
  ProxyPolicy open(anybody);
  CHECK(Seen(open, peer_of(outside), "X-Forwarded-For: 203.0.113.9\r\n").client == "203.0.113.9");
}

TEST_CASE("proxy policy: secure_scheme_headers decide the scheme, and must agree") {
  const Config config;
  ProxyPolicy policy(config);
  const auto scheme = [&](const std::string& fields, const char* from = "127.0.0.1") {
    const Seen seen(policy, peer_of(from), fields);
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

TEST_CASE("proxy policy: a field of one's own can mean https") {
  Config config;
  config.secure_scheme_headers = {{"Front-End-Https", "on"}};
  ProxyPolicy policy(config);
  CHECK(Seen(policy, peer_of("127.0.0.1"), "Front-End-Https: on\r\n").head.scheme.view() == "https");
  CHECK(Seen(policy, peer_of("127.0.0.1"), "X-Forwarded-Proto: https\r\n").head.scheme.view().empty());
}

TEST_CASE("proxy policy: a target with https is for a trusted peer to pass on") {
  const Config config;
  ProxyPolicy policy(config);
  CHECK(Seen(policy, peer_of(outside), "", "HTTPS://x/").refusal.http_status == 421);
  CHECK_FALSE(Seen(policy, peer_of(outside), "", "http://x/").refusal);
  const Seen trusted(policy, peer_of("127.0.0.1"), "", "https://x/");
  CHECK_FALSE(trusted.refusal);
  CHECK(trusted.head.scheme.view() == "https");
}

TEST_CASE("proxy policy: header_map says what becomes of names with an underscore") {
  const std::string fields = "A-B: 1\r\nA_B: 2\r\nPath_Info: 3\r\nC: 4\r\nscript_name: 5\r\n_: 6\r\n";
  Config config;
  ProxyPolicy drops(config);
  CHECK(Seen(drops, peer_of(outside), fields).names() == "Host A-B C");
  CHECK(Seen(drops, peer_of("127.0.0.1"), fields).names() == "Host A-B Path_Info C script_name");

  Config refusing;
  refusing.header_map = HeaderMap::refuse;
  ProxyPolicy refuses(refusing);
  CHECK(Seen(refuses, peer_of("127.0.0.1"), fields).refusal.http_status == 400);
  CHECK(Seen(refuses, peer_of(outside), "SCRIPT_NAME: /x\r\n").refusal.http_status == 400);
  CHECK_FALSE(Seen(refuses, peer_of("127.0.0.1"), "SCRIPT_NAME: /x\r\n").refusal);
  CHECK_FALSE(Seen(refuses, peer_of(outside), "A-B: 1\r\nA.B: a_b\r\n").refusal);

  Config dangerous;
  dangerous.header_map = HeaderMap::dangerous;
  ProxyPolicy keeps(dangerous);
  CHECK(Seen(keeps, peer_of(outside), fields).names() == "Host A-B A_B Path_Info C script_name _");

  Config forwarding;
  forwarding.forwarder_headers = {"*"};
  ProxyPolicy forwards(forwarding);
  CHECK(Seen(forwards, peer_of("127.0.0.1"), fields).names() == "Host A-B A_B Path_Info C script_name _");
  CHECK(Seen(forwards, peer_of(outside), fields).names() == "Host A-B C");
}

TEST_CASE("proxy policy: a PROXY header names the peer, and its trust is checked again") {
  Config config;
  config.proxy_protocol = ProxyProtocol::either;
  ProxyPolicy policy(config);
  Peer peer = peer_of("127.0.0.1");
  CHECK(Seen(policy, peer, "X-Forwarded-For: 203.0.113.9\r\n").client == "203.0.113.9");
  const ProxyPolicy::ProxyHeader header =
      policy.take_proxy_header("PROXY TCP4 198.51.100.7 127.0.0.1 5 80\r\nGET", peer);
  CHECK(header.status == Status::complete);
  CHECK(header.consumed == 40);
  CHECK(peer.text() == outside);
  CHECK(peer.port == 5);
  CHECK(Seen(policy, peer, "X-Forwarded-For: 203.0.113.9\r\n").client.empty());

  Peer by_socket;
  CHECK(policy.take_proxy_header("PROXY TCP6 2001:db8::1 ::1 5 80\r\n", by_socket).status == Status::complete);
  CHECK(by_socket.text() == "2001:db8::1");
  CHECK(by_socket.family == Peer::Family::local);  // the socket is what it was
  CHECK(Seen(policy, by_socket, "X-Forwarded-For: 203.0.113.9\r\n").client.empty());

  Peer unnamed = peer_of("127.0.0.1");
  CHECK(policy.take_proxy_header("PROXY UNKNOWN\r\n", unnamed).status == Status::complete);
  CHECK(unnamed.text() == "127.0.0.1");
}

TEST_CASE("proxy policy: who may send a PROXY header must, nobody else may") {
  Config config;
  config.proxy_protocol = ProxyProtocol::v1;
  ProxyPolicy policy(config);
  Peer proxy = peer_of("127.0.0.1"), stranger = peer_of(outside), by_socket;
  CHECK(policy.take_proxy_header("GET / HTTP/1.1\r\n", proxy).refusal.http_status == 400);
  CHECK(policy.take_proxy_header("GET / HTTP/1.1\r\n", by_socket).refusal.http_status == 400);
  CHECK(policy.take_proxy_header("PROX", proxy).status == Status::need_more);
  CHECK(policy.take_proxy_header("PROXY TCP4 1.2.3.4", stranger).refusal.http_status == 403);
  CHECK(policy.take_proxy_header(std::string_view("\r\n\r\n\0\r\nQUIT\n\x21", 13), stranger).refusal.http_status ==
        403);
  CHECK(policy.take_proxy_header("PROX", stranger).status == Status::need_more);
  const ProxyPolicy::ProxyHeader plain = policy.take_proxy_header("GET / HTTP/1.1\r\n", stranger);
  CHECK(plain.status == Status::complete);
  CHECK(plain.consumed == 0);
  CHECK(stranger.text() == outside);
}
