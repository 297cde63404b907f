// A test of proxy.cpp: the fields of both directions, bodies, an upstream that is dead, silent or broken, a client that
// leaves.
//   g++ -std=c++20 -o proxy_test proxy_test.cpp ../proxy.cpp -pthread -ldl -lcurl && ./proxy_test
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <narwhal/testing.hpp>

#include <atomic>
#include <mutex>
#include <string>
#include <thread>

using narwhal::testing::Answer;
using narwhal::testing::Client;
using narwhal::testing::Worker;

namespace {

// A server of one connection at a time, on a port of 127.0.0.1 that the kernel chooses. It reads a head, with the body
// that its Content-Length says, and answers with the bytes given; "" keeps the client waiting.
class Upstream {
 public:
  explicit Upstream(std::string answer, bool keeps_connection = false)
      : answer_(std::move(answer)),
        keeps_(keeps_connection),
        listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const name = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(listener_, name, size) == 0);
    REQUIRE(::getsockname(listener_, name, &size) == 0);
    REQUIRE(::listen(listener_, 8) == 0);
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  ~Upstream() {
    ending_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    if (const int fd = client_.exchange(-1); fd >= 0) ::shutdown(fd, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  const std::string& url() const { return url_; }
  int connections() const { return connections_; }
  std::string received() const {
    const std::lock_guard lock(mutex_);
    return received_;
  }

 private:
  void serve() {
    while (!ending_) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      ++connections_;
      client_ = fd;
      while (!ending_ && read_request(fd)) {
        if (answer_.empty()) continue;
        ::send(fd, answer_.data(), answer_.size(), MSG_NOSIGNAL);
        if (!keeps_) break;
      }
      client_ = -1;
      ::close(fd);
    }
  }
  bool read_request(int fd) {
    std::string bytes;
    while (true) {
      const std::size_t end = bytes.find("\r\n\r\n"), length = bytes.find("Content-Length: ");
      const std::size_t body = length < end ? std::stoul(bytes.substr(length + 16)) : 0;
      const bool chunked = bytes.find("Transfer-Encoding: chunked") < end;
      if (end != bytes.npos && (chunked ? bytes.ends_with("\r\n0\r\n\r\n") : bytes.size() >= end + 4 + body)) break;
      char piece[4096];
      const ssize_t size = ::recv(fd, piece, sizeof piece, 0);
      if (size <= 0) return false;
      bytes.append(piece, static_cast<std::size_t>(size));
    }
    const std::lock_guard lock(mutex_);
    received_ = bytes;
    return true;
  }

  const std::string answer_;
  const bool keeps_;
  const int listener_;
  std::string url_;
  std::atomic<int> connections_ = 0, client_ = -1;
  std::atomic<bool> ending_ = false;
  mutable std::mutex mutex_;
  std::string received_;
  std::thread thread_;
};

narwhal::testing::Settings settings(const Upstream& upstream, const std::string& path = "") {
  return {.options = {{"upstream", upstream.url() + path}, {"timeout", "60"}}};
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

const char* const short_answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";

}  // namespace

TEST_CASE("proxy: the option is checked when the worker boots") {
  for (const char* wrong : {"", "nowhere", "ftp://h", "http://", "http://h:99999", "http://me@h", "http://h/?x=1"}) {
    CAPTURE(wrong);
    CHECK(has(Worker(narwhal_plugin_v1, {.options = {{"upstream", wrong}}}).boot_error(), "option 'upstream': '"));
  }
  CHECK(has(Worker(narwhal_plugin_v1).boot_error(), "upstream"));
  CHECK(Worker(narwhal_plugin_v1, {.options = {{"upstream", "http://h/base/"}}}).boot_error() == "");
}

TEST_CASE("proxy: no path leads out of that of the upstream") {
  Upstream upstream(short_answer);
  Worker inside(narwhal_plugin_v1, settings(upstream, "/base"));
  for (const char* target : {"/../x", "/a/..", "/%2e%2E/x", "/a%2f..%2fx"}) {
    CAPTURE(target);
    CHECK(inside.get(target).status == 400);
  }
  CHECK(inside.get("/..x/a..").status == 200);
}

TEST_CASE("proxy: the upstream gets the request, what the server knows of the client, and nothing of the connection") {
  Upstream upstream(short_answer);
  auto with_prefix = settings(upstream, "/base/");
  with_prefix.prefix = "/shop";
  Worker worker(narwhal_plugin_v1, with_prefix);
  const Answer answer = worker.send({.method = "PATCH",
                                     .target = "/shop/./a%2Fb?x=1&y",
                                     .body = "some bytes",
                                     .headers = {{"Connection", "close, X-Mine"},
                                                 {"X-Mine", "1"},
                                                 {"TE", "trailers"},
                                                 {"X-Forwarded-For", "9.9.9.9"},
                                                 {"X-Empty", ""},
                                                 {"Cookie", "a=b"}}});
  CHECK(answer.status == 200);
  CHECK(answer.body == "yes");
  const std::string got = upstream.received();
  CHECK(got.starts_with("PATCH /base/./a%2Fb?x=1&y HTTP/1.1\r\nHost: "));
  for (const char* line : {"Cookie: a=b", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: http",
                           "X-Empty:", "X-Forwarded-Prefix: /shop", "Content-Length: 10"}) {
    CAPTURE(line);
    CHECK(has(got, std::string("\r\n") + line + "\r\n"));
  }
  for (const char* name : {"X-Mine", "TE:", "9.9.9.9", "Accept", "Expect", "User-Agent", "Connection"}) {
    CAPTURE(name);
    CHECK_FALSE(has(got, name));
  }
  CHECK(got.ends_with("\r\n\r\nsome bytes"));
}

TEST_CASE("proxy: a body of unknown length stays one, and is passed on while it arrives") {
  Upstream upstream(short_answer);
  Worker worker(narwhal_plugin_v1, settings(upstream));
  Client client = worker.begin({.method = "POST", .body = "a", .chunked = true, .body_follows = true});
  client.send_body("bc");
  client.end_body();
  CHECK(client.answer().status == 200);
  CHECK(has(upstream.received(), "\r\nTransfer-Encoding: chunked\r\n"));
}

TEST_CASE("proxy: the client gets the answer without what concerns the connection") {
  Upstream upstream(
      "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
      "HTTP/1.1 404 Not Here\r\nConnection: close, X-Theirs\r\nX-Theirs: 1\r\nKeep-Alive: timeout=5\r\n"
      "Set-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Type: text/x\r\nTransfer-Encoding: chunked\r\n"
      "Content-Length: 99\r\n\r\n4\r\nnone\r\n0\r\nX-Trailer: 1\r\n\r\n");
  Worker worker(narwhal_plugin_v1, settings(upstream));
  const Answer answer = worker.get("/");
  CHECK(answer.status == 404);
  CHECK(answer.complete);
  CHECK(answer.body == "none");
  CHECK(answer.headers ==
        narwhal::testing::Fields{{"Set-Cookie", "a=1"}, {"set-cookie", "b=2"}, {"Content-Type", "text/x"}});
  CHECK(answer.header("Transfer-Encoding") == "chunked");
}

TEST_CASE("proxy: an answer to HEAD, and one of 304, keep the length that they declare") {
  Upstream head("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
  CHECK(Worker(narwhal_plugin_v1, settings(head)).send({.method = "HEAD"}).header("Content-Length") == "1234");
  CHECK(head.received().starts_with("HEAD / HTTP/1.1\r\n"));
  Upstream unchanged("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 77\r\n\r\n");
  const Answer answer = Worker(narwhal_plugin_v1, settings(unchanged)).get("/");
  CHECK((answer.status == 304 && answer.header("Content-Length") == "77" && answer.header("ETag") == "\"x\""));
}

TEST_CASE("proxy: a thread uses its connection again") {
  Upstream upstream(short_answer, true);
  Worker worker(narwhal_plugin_v1, settings(upstream));
  for (int i = 0; i < 5; ++i) CHECK(worker.get("/").body == "yes");
  CHECK(worker.post("/", "body").body == "yes");
  CHECK(upstream.connections() == 1);
}

TEST_CASE("proxy: without an upstream the answer is 502, and the log says why") {
  std::string url;
  {
    const Upstream gone(short_answer);
    url = gone.url();
  }
  Worker worker(narwhal_plugin_v1, {.options = {{"upstream", url}}});
  CHECK(worker.get("/x").status == 502);
  CHECK(worker.has_logged("GET /x: upstream " + url + ": Failed to connect"));
}

TEST_CASE("proxy: an upstream that says nothing gets a second, and the client 504") {
  Upstream upstream("");
  auto impatient = settings(upstream);
  impatient.options["timeout"] = "1";
  Worker worker(narwhal_plugin_v1, impatient);
  CHECK(worker.get("/x").status == 504);
  CHECK(worker.has_logged("GET /x: upstream " + upstream.url() + ": nothing for 1 s"));
}

TEST_CASE("proxy: what is not an HTTP answer is 502, and one that ends early is cut off") {
  for (const char* wrong :
       {"nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\n folded\r\n\r\n", "HTTP/1.1 200 OK\r\nX y: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\x01z\r\n\r\n", "HTTP/1.1 999 Odd\r\n\r\n", "HTTP/1.1 101 Other\r\n\r\nx"}) {
    CAPTURE(wrong);
    Upstream upstream(wrong);
    Worker worker(narwhal_plugin_v1, settings(upstream));
    CHECK(worker.get("/").status == 502);
    worker.take_breaches();  // the harness counts a field that may not go on the wire
  }
  for (const char* cut : {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"}) {
    CAPTURE(cut);
    Upstream upstream(cut);
    Worker worker(narwhal_plugin_v1, settings(upstream));
    const Answer answer = worker.get("/");
    CHECK((answer.status == 200 && answer.body == "half" && answer.cut));
  }
}

TEST_CASE("proxy: a client that leaves ends the transfer") {
  Upstream upstream("");
  Worker worker(narwhal_plugin_v1, settings(upstream));
  Client waiting = worker.begin({});
  CHECK_FALSE(waiting.wait_for_return(std::chrono::milliseconds(50)));
  waiting.leave();
  CHECK(waiting.wait_for_return());
  Client sending = worker.begin({.method = "POST", .chunked = true, .body_follows = true});
  CHECK_FALSE(sending.wait_for_return(std::chrono::milliseconds(50)));
  sending.leave();
  CHECK(sending.wait_for_return());
}
