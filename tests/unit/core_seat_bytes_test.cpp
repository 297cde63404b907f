// A template's seat for another program: what one side writes the other side reads, and nothing else.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "core/log.hpp"
#include "core/seat_bytes.hpp"

using namespace narwhal;

namespace {

// Every kind of value differs from its default.
Config unusual_config() {
  Config config;
  config.bind = {Bind{Bind::Kind::unix_socket, "", 0, "/run/x.sock", -1, Wire::uwsgi, {0660, "shop", "33", 64}},
                 Bind{Bind::Kind::inherited, "", 0, "", 3, {}, {{}, "", "", {}, IpRanges("192.0.2.0/24")}}};
  config.protocol = Wire::scgi;
  config.uwsgi_allow_ips = IpRanges("10.0.0.1");
  config.gateway_allow_ips = IpRanges("10.0.0.2");
  config.routes = {Route{"/a",
                         "shop:app",
                         {{"key", std::string("a\0b", 3)}},
                         "/lib/wsgi-cp311.so",
                         5s,
                         0s,
                         {"shop.example", "*.shop.example"},
                         TrailingSlash::tolerant}};
  config.preload_app = true;
  config.reload_engine = ReloadEngine::poll;
  config.python = "/venv/bin/python";
  config.max_worker_memory = std::size_t{1} << 40;
  config.umask = -1;
  config.raw_env = {{"A", "1"}, {"B", ""}};
  config.timeout = seconds{7};
  config.forwarded_allow_ips = IpRanges("10.0.0.0/8,::1");
  config.proxy_allow_ips = IpRanges("*");
  config.header_map = HeaderMap::refuse;
  config.loglevel = LogLevel::error;
  config.access_log_format = "";
  config.server_header = "\xc3\xa9";
  return config;
}

struct TestSeat {
  Scoreboard scoreboard = or_throw(Scoreboard::create());
  Listener listener{Bind{}, Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)), "http://127.0.0.1:1", true};
  TemplateSeat seat;

  TestSeat() {
    auto generation = std::make_shared<Generation>();
    generation->number = 7;
    generation->config = unusual_config();
    generation->config.routes = {{"/shop", "shop:app", {{"venv", "v"}}}};
    generation->config.routes.front().option_places = {"n.yaml:2:1", {{"venv", "n.yaml:3:3"}}};
    generation->plugins = {StagedPlugin{"shop:app", "/tmp/copy.so", "abc"}};
    seat = {generation, Fd(::open("/dev/null", O_RDWR | O_CLOEXEC)), {&listener}, &scoreboard, 5, -1};
  }
};

// As if it had been inherited: the numbers are those of copies.
std::unique_ptr<ReceivedSeat> passed_on(TestSeat& sent) {
  TestSeat copies;
  copies.listener.fd = Fd(::dup(sent.listener.fd.get()));
  copies.seat.scoreboard = nullptr;
  auto received = or_throw(received_seat(seat_bytes(copies.seat)));
  copies.seat.master.release();
  copies.listener.fd.release();
  return received;
}

}  // namespace

TEST_CASE("seat bytes: the generation, the listeners and the numbers of descriptors arrive") {
  TestSeat sent;
  const auto received = passed_on(sent);
  CHECK(received->seat.generation->number == 7);
  CHECK(received->seat.generation->config == sent.seat.generation->config);
  REQUIRE(received->seat.generation->config.routes.size() == 1);
  CHECK(received->seat.generation->config.routes.front().option_places.all == "n.yaml:2:1");
  CHECK(received->seat.generation->config.routes.front().option_places.each == Options{{"venv", "n.yaml:3:3"}});
  REQUIRE(received->seat.generation->plugins.size() == 1);
  CHECK(received->seat.generation->plugins.front().digest == "abc");
  REQUIRE(received->seat.listeners.size() == 1);
  CHECK(received->seat.listeners.front()->address == "http://127.0.0.1:1");
  CHECK(received->seat.listeners.front()->activated);
  CHECK(received->seat.access_log == 5);
  CHECK(received->seat.log_socket == -1);
}

TEST_CASE("seat bytes: a scoreboard is attached by its descriptor") {
  TestSeat sent;
  auto other = or_throw(Scoreboard::attach(Fd(::dup(sent.scoreboard.descriptor()))));
  sent.scoreboard.slot(3).requests.store(17);
  CHECK(other.slot(3).requests.load() == 17);
  other.clear(3);
  CHECK(sent.scoreboard.slot(3).requests.load() == 0);
}

TEST_CASE("seat bytes: what is cut off or has a rest is refused") {
  TestSeat sent;
  const std::string bytes = seat_bytes(sent.seat);
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, bytes.size() / 2, bytes.size() - 1}) {
    CAPTURE(size);
    CHECK_FALSE(received_seat(std::string_view(bytes).substr(0, size)));
  }
  CHECK_FALSE(received_seat(bytes + "x"));
}

TEST_CASE("seat bytes: another build is refused") {
  TestSeat sent;
  std::string bytes = seat_bytes(sent.seat);
  bytes.front() = static_cast<char>(bytes.front() + 1);
  const auto received = received_seat(bytes);
  REQUIRE_FALSE(received);
  CHECK(received.error().ends_with("are of different builds: restart it"));
}
