#include "worker/access_log.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <regex>

#include "core/clock.hpp"
#include "core/log.hpp"
#include "core/log_output.hpp"
#include "core/log_records.hpp"
#include "tests/support/folder.hpp"
#include "tests/support/worker_idle_loop.hpp"

using namespace narwhal;
using namespace narwhal::worker;
using namespace std::chrono_literals;

namespace {

// One exchange of this request, answered by a handler with `body`, a status and one field.
class Answered_exchange {
 public:
  explicit Answered_exchange(std::string request, int status = 200, std::string body = "hello",
                             std::string field = "a value")
      : request_(std::move(request)), body_(std::move(body)), field_(std::move(field)), exchange_(idle_loop()) {
    answering_ = this;
    status_ = status;
    mount_.plugin = {};
    mount_.prefix = "";
    mount_.plugin.handle = [](void*, narwhal_exchange* handle) { return answering_->answer(handle); };
    const auto fed = protocol::decode_head(request_, 0, {0, 0, 0}, exchange_.head);
    REQUIRE(fed.status == protocol::Status::complete);
    exchange_.mount = &mount_;
    exchange_.started = Instant(100s);
    sockaddr_storage from{};
    auto& in = reinterpret_cast<sockaddr_in&>(from);
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(0x01020304);
    exchange_.peer = Peer::of(from);
    exchange_.fill_request();
    REQUIRE(exchange_.run(0) == NARWHAL_OK);
  }
  ~Answered_exchange() {
    ResponseBytes& bytes = exchange_.response.bytes();
    if (bytes.has_buffer()) idle_loop().buffers().drop(bytes.take_buffer());
    exchange_.reset();
  }
  Exchange& exchange() { return exchange_; }

 private:
  int answer(narwhal_exchange* handle) {
    narwhal_field field{};
    field.name = NARWHAL_LITERAL("X-Said");
    field.value = {field_.data(), field_.size()};
    narwhal_response response{};
    response.struct_size = sizeof response;
    response.status = status_;
    response.fields = &field;
    response.field_count = 1;
    response.body = {body_.data(), body_.size()};
    return host_table.respond(handle, &response);
  }

  static inline Answered_exchange* answering_ = nullptr;
  std::string request_, body_, field_;
  int status_;
  Mount mount_;
  Exchange exchange_;
};

std::string lines(const std::string& format, Exchange& exchange, Answered answered,
                  std::chrono::nanoseconds took = 0ns) {
  const Folder folder;
  const Fd file = or_throw(narwhal::open_log_file(folder.path("access.log")));
  AccessLog log;
  log.open(file.get(), format);
  log.add(exchange, answered, exchange.started + took);
  log.flush();
  return read_all(folder.path("access.log"));
}

std::string line(const std::string& format, const std::string& request, std::chrono::nanoseconds took = 0ns) {
  Answered_exchange answered(request);
  Exchange& exchange = answered.exchange();
  return lines(format, exchange, {exchange.response.status(), exchange.response.body_sent()}, took);
}

std::string get(const std::string& target, const std::string& fields = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: shop.example\r\n" + fields + "\r\n";
}

}  // namespace

TEST_CASE("access log: the default format, whole") {
  const std::string text =
      line(Config{}.access_log_format, get("/a?b=c", "Referer: http://r/\r\nUser-Agent: curl/8\r\n"));
  CHECK(std::regex_match(
      text,
      std::regex(
          R"re(1\.2\.3\.4 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /a\?b=c HTTP/1\.1" 200 5 "http://r/" "curl/8"\n)re")));
}

TEST_CASE("access log: every atom") {
  const std::string request =
      get("/a%20b?x=1", "Authorization: Basic dXNlcjpwYXNz\r\nReferer: http://r/\r\nUser-Agent: ua\r\nX-One: 1\r\n");
  const auto took = 2s + 345'678'901ns;
  const std::pair<const char*, std::string> atoms[] = {{"h", "1.2.3.4"},
                                                       {"l", "-"},
                                                       {"u", "user"},
                                                       {"r", "GET /a%20b?x=1 HTTP/1.1"},
                                                       {"m", "GET"},
                                                       {"U", "/a b"},
                                                       {"q", "x=1"},
                                                       {"H", "HTTP/1.1"},
                                                       {"s", "200"},
                                                       {"B", "5"},
                                                       {"b", "5"},
                                                       {"f", "http://r/"},
                                                       {"a", "ua"},
                                                       {"T", "2"},
                                                       {"M", "2345"},
                                                       {"D", "2345678"},
                                                       {"L", "2.345678"},
                                                       {"p", "<" + std::to_string(::getpid()) + ">"},
                                                       {"{x-one}i", "1"},
                                                       {"{X-ONE}i", "1"},
                                                       {"{x-two}i", "-"},
                                                       {"{host}i", "shop.example"},
                                                       {"{x-said}o", "a value"},
                                                       {"{X-Said}o", "a value"},
                                                       {"{content-length}o", "5"},
                                                       {"{x-none}o", "-"},
                                                       {"{REQUEST_METHOD}e", "GET"},
                                                       {"{PATH_INFO}e", "/a b"},
                                                       {"{HTTP_HOST}e", "shop.example"},
                                                       {"{http_host}e", "shop.example"},
                                                       {"{NO_SUCH}e", "-"}};
  for (const auto& [atom, expected] : atoms) {
    CAPTURE(atom);
    CHECK(line("%(" + std::string(atom) + ")s", request, took) == expected + "\n");
  }
}

TEST_CASE("access log: what is not there is a dash, an empty query is nothing") {
  const std::string request = "GET / HTTP/1.0\r\n\r\n";
  for (const char* atom : {"u", "f", "a", "{x}i", "{x}o", "{x}e"}) {
    CAPTURE(atom);
    CHECK(line("%(" + std::string(atom) + ")s", request) == "-\n");
  }
  CHECK(line("[%(q)s]", request) == "[]\n");
  CHECK(line("%(r)s", request) == "GET / HTTP/1.0\n");
}

TEST_CASE("access log: text that is not an atom stays, an unknown atom is a dash") {
  const std::string request = get("/");
  CHECK(line("plain text", request) == "plain text\n");
  CHECK(line("", request) == "\n");
  CHECK(line("100%% of %(m)s", request) == "100% of GET\n");
  CHECK(line("%(m)s%(m)s", request) == "GETGET\n");
  CHECK(line("%(zz)s %(Z)s %()s %({}i)s", request) == "- - - -\n");
  CHECK(line("%", request) == "%\n");
  CHECK(line("%(m", request) == "%(m\n");
  CHECK(line("%(m)", request) == "%(m)\n");
  CHECK(line("%(m)d", request) == "%(m)d\n");
  CHECK(line("50% %m", request) == "50% %m\n");
}

TEST_CASE("access log: user names of Basic authorization, whole ones only") {
  const auto user = [](const std::string& value) {
    return line("%(u)s", get("/", "Authorization: " + value + "\r\n"));
  };
  CHECK(user("Basic dXNlcjpwYXNz") == "user\n");
  CHECK(user("basic dXNlcjpwYXNz") == "user\n");
  CHECK(user("Basic dXNlcjo=") == "user\n");
  CHECK(user("Basic OnBhc3M=") == "-\n");  // no name
  CHECK(user("Basic dXNlcg==") == "-\n");  // no colon
  CHECK(user("Basic ") == "-\n");
  CHECK(user("Basic !!!") == "-\n");
  CHECK(user("Bearer dXNlcjpwYXNz") == "-\n");
  // "evil\nGET / 200:x"
  CHECK(user("Basic ZXZpbApHRVQgLyAyMDA6eA==") == "evil\\nGET / 200\n");
}

TEST_CASE("access log: no client ends a line or a quoted value") {
  const auto agent = [](const std::string& value) {
    return line("\"%(a)s\"", get("/", "User-Agent: " + value + "\r\n"));
  };
  CHECK(agent("a\"b") == "\"a\\\"b\"\n");
  CHECK(agent("a\\") == "\"a\\\\\"\n");
  CHECK(agent("\\\"") == "\"\\\\\\\"\"\n");
  CHECK(agent("tab\there") == "\"tab\\there\"\n");
  CHECK(agent("\\x22") == "\"\\\\x22\"\n");  // not to be taken for an escaped quote
  CHECK(agent("caf\xc3\xa9") == "\"caf\xc3\xa9\"\n");
  for (const char* atom : {"%({PATH_INFO}e)s", "%(U)s"}) {
    CHECK(line(atom, get("/a%0a%0d%1b%00%7f\"b")) == "/a\\n\\r\\x1b\\x00\\x7f\\\"b\n");
  }
  CHECK(line("%(U)s", get("/50%")) == "/50%\n");  // what cannot be decoded stays
}

TEST_CASE("access log: an endless value is cut, never in the middle of an escape") {
  for (const std::size_t size :
       {std::size_t{8'000}, std::size_t{8'191}, std::size_t{8'192}, std::size_t{8'193}, std::size_t{20'000}}) {
    for (const char* tail : {"\"", "\\", "\t", "\"\"\"\"\"\"\"\""}) {
      CAPTURE(size);
      CAPTURE(tail);
      const std::string text = line("\"%(a)s\"", get("/", "User-Agent: " + std::string(size, 'u') + tail + "z\r\n"));
      CHECK(text.size() <= 8'192 * 4 + 3);
      REQUIRE(text.ends_with("\"\n"));
      // An even number of backslashes before the closing quote, or it would count as one of the value's own.
      const std::string value = text.substr(1, text.size() - 3);
      const std::size_t last = value.find_last_not_of('\\');
      CHECK((value.size() - 1 - last) % 2 == 0);
      CHECK(std::count(text.begin(), text.end(), '\n') == 1);
    }
  }
}

TEST_CASE("access log: json has every atom under a name, and nothing is missing without being null") {
  const std::string text =
      line("json", get("/a%20b?x=1", "Referer: http://r/\r\nUser-Agent: ua\r\n"), 2s + 345'678'901ns);
  const std::string expected =
      "\"request\":\"GET /a%20b?x=1 HTTP/1.1\",\"method\":\"GET\",\"path\":\"/a b\",\"query\":\"x=1\","
      "\"protocol\":\"HTTP/1.1\",\"referer\":\"http://r/\",\"user_agent\":\"ua\",\"status\":200,\"response_length\":5,"
      "\"request_time\":2.345678,\"request_time_ms\":2345,\"request_time_us\":2345678,\"pid\":" +
      std::to_string(::getpid()) + "}\n";
  CHECK(text.find(expected) != std::string::npos);
  CHECK(std::regex_search(
      text,
      std::regex(
          R"re(^\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d","epoch":\d+\.\d{6},"remote_address":"1\.2\.3\.4","client":"1\.2\.3\.4","user":null,)re")));
}

TEST_CASE("access log: json adds what the format names") {
  const std::string text =
      line("json %({x-one}i)s %({x-two}i)s %({x-said}o)s %({REQUEST_METHOD}e)s", get("/", "X-One: 1\r\n"));
  CHECK(
      text.find(
          R"("request_headers":{"x-one":"1","x-two":null},"response_headers":{"x-said":"a value"},"environ":{"REQUEST_METHOD":"GET"},)") !=
      std::string::npos);
}

TEST_CASE("access log: json of a request of which nothing was understood") {
  Exchange refused(idle_loop());
  const Answered host{.status = 400, .body_bytes = 21, .own = false};
  CHECK(
      lines("json", refused, host).find(R"("request":null,"method":null,"path":null,"query":null,"protocol":null,)") !=
      std::string::npos);
}

TEST_CASE("access log: what a plugin gives is shown in place of the variable, the last value first") {
  Answered_exchange answered(get("/"));
  Exchange& exchange = answered.exchange();
  REQUIRE(host_table.log_value(exchange.handle(), NARWHAL_LITERAL("user_id"), NARWHAL_LITERAL("7")) == NARWHAL_OK);
  REQUIRE(host_table.log_value(exchange.handle(), NARWHAL_LITERAL("USER_ID"), NARWHAL_LITERAL("8")) == NARWHAL_OK);
  REQUIRE(host_table.log_value(exchange.handle(), NARWHAL_LITERAL("PATH_INFO"), NARWHAL_LITERAL("x\ny")) == NARWHAL_OK);
  CHECK(lines("%({User_Id}e)s %({PATH_INFO}e)s %({HTTP_HOST}e)s", exchange, {200, 5}) == "8 x\\ny shop.example\n");
  CHECK(lines("%({USER_ID}e)s", exchange, {504, 5, false}) == "-\n");
}

TEST_CASE("access log: an answer of the host's own shows nothing of the handler's") {
  Answered_exchange answered(get("/a"));
  const Answered host{.status = 504, .body_bytes = 26, .own = false};
  CHECK(lines("%(s)s %(b)s %({x-said}o)s %({PATH_INFO}e)s %(r)s", answered.exchange(), host) ==
        "504 26 - - GET /a HTTP/1.1\n");
}

TEST_CASE("access log: a head without a mount has no variables") {
  Answered_exchange answered(get("/a"));
  answered.exchange().mount = nullptr;
  CHECK(lines("%({PATH_INFO}e)s", answered.exchange(), {404, 10}) == "-\n");
}

TEST_CASE("access log: a request of which nothing was understood has a peer, a status and a size") {
  Exchange refused(idle_loop());
  const Answered host{.status = 400, .body_bytes = 21, .own = false};
  CHECK(lines("%(h)s %(l)s %(u)s \"%(r)s\" %(s)s %(b)s \"%(f)s\" \"%(a)s\"", refused, host) ==
        " - - \"-\" 400 21 \"-\" \"-\"\n");
  CHECK(lines("%(m)s|%(U)s|%(q)s|%(H)s|%({host}i)s|%({x}o)s|%({PATH_INFO}e)s", refused, host) == "-|-||-|-|-|-\n");
}

TEST_CASE("access log: a clock that seems to go back counts as no time") {
  Answered_exchange answered(get("/"));
  Exchange& exchange = answered.exchange();
  const Folder folder;
  const Fd file = or_throw(narwhal::open_log_file(folder.path("access.log")));
  AccessLog log;
  log.open(file.get(), "%(D)s %(L)s");
  log.add(exchange, {200, 5}, exchange.started - 1ns);
  log.flush();
  CHECK(read_all(folder.path("access.log")) == "0 0.000000\n");
}

TEST_CASE("access log: lines are written together, in order, and none is lost") {
  Answered_exchange answered(get("/" + std::string(1'000, 'x')));
  const Folder folder;
  const Fd file = or_throw(narwhal::open_log_file(folder.path("access.log")));
  AccessLog log;
  log.open(file.get(), "%(m)s %(U)s");
  CHECK(log.enabled());
  for (int index = 0; index < 500; ++index) log.add(answered.exchange(), {200, 5}, unset);
  const std::string before = read_all(folder.path("access.log"));
  CHECK(before.size() > 64 * 1024);  // a full batch does not wait
  CHECK(before.back() == '\n');
  log.flush();
  const std::string all = read_all(folder.path("access.log"));
  CHECK(all.size() == 500 * (4 + 1 + 1'000 + 1));
  CHECK(std::count(all.begin(), all.end(), '\n') == 500);
}

TEST_CASE("access log: after a reopen it writes to the new file, under the same descriptor") {
  Answered_exchange answered(get("/"));
  const Folder folder;
  const Fd file = or_throw(narwhal::open_log_file(folder.path("access.log")));
  AccessLog log;
  log.open(file.get(), "%(s)s");
  log.add(answered.exchange(), {201, 0}, unset);
  std::filesystem::rename(folder.path("access.log"), folder.path("old.log"));
  REQUIRE(log.follow(or_throw(narwhal::open_log_file(folder.path("access.log")))));
  log.add(answered.exchange(), {202, 0}, unset);
  log.flush();
  CHECK(read_all(folder.path("old.log")) == "201\n");
  CHECK(read_all(folder.path("access.log")) == "202\n");
}

TEST_CASE("access log: without a descriptor there is none, and no new file makes one") {
  const Folder folder;
  AccessLog none;
  none.open(-1, "%(s)s");
  CHECK_FALSE(none.enabled());
  REQUIRE(none.follow(or_throw(narwhal::open_log_file(folder.path("access.log")))));
  CHECK_FALSE(none.enabled());
}

TEST_CASE("access log: a full disk costs lines, not the worker") {
  Answered_exchange answered(get("/"));
  const Fd file = or_throw(narwhal::open_log_file("/dev/full"));
  AccessLog log;
  log.open(file.get(), "%(s)s");
  for (int index = 0; index < 100; ++index) log.add(answered.exchange(), {200, 5}, unset);
  log.flush();
  CHECK(log.enabled());
}

TEST_CASE("access log: for the log process each line is a record, with all header fields if it may look at them") {
  Answered_exchange answered(get("/", "X-One: 1\r\nX-Two: 2\r\n"));
  for (const bool with_all_headers : {false, true}) {
    LogSockets sockets;
    REQUIRE(open_log_sockets(sockets));
    AccessLog log;
    log.open_collector(sockets.writer.get(), "%(h)s %({x-two}i)s", with_all_headers);
    log.add(answered.exchange(), {200, 5}, unset);
    log.flush();
    char bytes[8192];
    const ssize_t size = ::recv(sockets.reader.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    REQUIRE(size > 0);
    const std::string record(bytes, static_cast<std::size_t>(size));
    CHECK(record.starts_with("A{"));
    CHECK(record.ends_with("}\n"));
    CHECK(record.find(R"("request_headers":{"x-two":"2"},)") != std::string::npos);
    const bool has_all =
        record.find(R"("headers":[["Host","shop.example"],["X-One","1"],["X-Two","2"]],"sent_headers":[[)") !=
        std::string::npos;
    CHECK(has_all == with_all_headers);
    CHECK((record.find(R"(["X-Said","a value"])") != std::string::npos) == with_all_headers);
  }
}

TEST_CASE("access log: lines that the log process does not take are kept, in order, and later ones are counted") {
  Answered_exchange answered(get("/" + std::string(3'000, 'x')));
  LogSockets sockets;
  REQUIRE(open_log_sockets(sockets));
  AccessLog log;
  log.open_collector(sockets.writer.get(), "", false);
  unsigned added = 0;
  for (; added < 4'000; ++added) log.add(answered.exchange(), {200, added}, unset);
  unsigned expected = 0;
  std::vector<char> bytes(64 * 1024);
  while (true) {
    const ssize_t size = ::recv(sockets.reader.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (size < 0) break;
    const std::string record(bytes.data(), static_cast<std::size_t>(size));
    CHECK(record.find(R"("response_length":)" + std::to_string(expected++) + ",") != std::string::npos);
    log.flush();
  }
  CHECK(expected > 500);
  CHECK(expected < added);
  log.add(answered.exchange(), {201, 0}, unset);
  log.finish();
  const ssize_t size = ::recv(sockets.reader.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  REQUIRE(size > 0);
  CHECK(std::string(bytes.data(), static_cast<std::size_t>(size)).find(R"("status":201)") != std::string::npos);
}
