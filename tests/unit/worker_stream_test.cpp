// A streamed answer and the loop: parts leave together or at once, and whoever writes leaves the loop to others.
#include <doctest/doctest.h>

#include <atomic>
#include <string>

#include "tests/support/worker_conversation.hpp"
#include "tests/support/worker_fake_loop.hpp"
#include "tests/support/worker_in_process.hpp"

using namespace narwhal;
using namespace narwhal::worker;
using namespace std::chrono_literals;

namespace {

void work(std::chrono::microseconds time) {
  for (const auto until = Clock::now() + time; Clock::now() < until;) continue;
}

// Bytes that know how often they were given back.
struct Lent {
  std::string bytes;
  std::atomic<int> returned{0};
};

int write_lent(narwhal_exchange* exchange, Lent& lent, std::uint32_t flags = 0) {
  return host_table.write_lent(
      exchange, bytes_of(lent.bytes), flags, [](void* back) { ++static_cast<Lent*>(back)->returned; }, &lent);
}

bool all_returned_once(const std::vector<std::unique_ptr<Lent>>& parts) {
  return std::all_of(parts.begin(), parts.end(), [](const auto& part) { return part->returned == 1; });
}

}  // namespace

TEST_CASE("stream: a handler that writes all the time keeps neither other requests nor the heartbeat waiting") {
  Watchdog dog("a talkative handler", 60s);
  for (const unsigned threads : {2u, 4u}) {
    CAPTURE(threads);
    std::atomic<bool> answered{false};
    std::atomic<int> parts{0};
    InProcess server({{"/talk",
                       [&](narwhal_exchange* exchange) {
                         start(exchange, -1);
                         for (const auto until = Clock::now() + 20s; !answered && Clock::now() < until; ++parts) {
                           work(200us);
                           if (write(exchange, "and so on ") != NARWHAL_OK) break;
                         }
                         return host_table.finish(exchange);
                       }},
                      {"", [&](narwhal_exchange* exchange) { return respond(exchange, "short"); }}},
                     config_of(threads));
    Client talk(server), other(server);
    talk.get("/talk");
    REQUIRE(talk.more());
    const narwhal::Instant beat = server.slot().heartbeat;
    other.get("/");
    CHECK(other.answer().body == "short");
    answered = true;
    CHECK(talk.answer().whole);
    CHECK(parts < 20'000);  // not by the clock
    CHECK(server.slot().heartbeat.load() > beat);
  }
}

TEST_CASE("stream: parts of every size arrive in their order, and what was lent is given back once") {
  Watchdog dog("parts of every size", 60s);
  for (const bool is_slow_reader : {false, true}) {
    for (const unsigned threads : {1u, 2u}) {
      CAPTURE(is_slow_reader);
      CAPTURE(threads);
      std::string whole;
      std::vector<std::unique_ptr<Lent>> parts;
      for (std::size_t index = 0; index < 200; ++index) {
        parts.push_back(std::make_unique<Lent>());
        parts.back()->bytes = std::string(1 + index * 7919 % 60'000, static_cast<char>('a' + index % 26));
        whole += parts.back()->bytes;
      }
      std::atomic<bool> done{false};
      InProcess server({{"",
                         [&](narwhal_exchange* exchange) {
                           start(exchange, -1);
                           for (std::size_t index = 0; index < parts.size(); ++index) {
                             const bool lends = index % 3 != 0;
                             CHECK((lends ? write_lent(exchange, *parts[index])
                                          : write(exchange, parts[index]->bytes)) == NARWHAL_OK);
                             if (!lends) ++parts[index]->returned;
                             if (index % 50 == 49)
                               std::this_thread::sleep_for(5ms);  // the loop is taken over meanwhile
                           }
                           const int code = host_table.finish(exchange);
                           done = true;
                           return code;
                         }}},
                       config_of(threads));
      Client client(server, is_slow_reader ? 4096 : 0);
      client.get("/");
      if (is_slow_reader) std::this_thread::sleep_for(50ms);
      const Answer answer = client.answer();
      CHECK(answer.whole);
      CHECK(answer.body == whole);
      CHECK(eventually([&] { return done && all_returned_once(parts); }));
    }
  }
}

TEST_CASE("stream: a part that nothing follows leaves all the same while its handler goes on") {
  Watchdog dog("the last part for a while", 60s);
  for (const unsigned threads : {1u, 2u}) {
    for (const bool lends : {false, true}) {
      CAPTURE(threads);
      CAPTURE(lends);
      Lent lent{std::string(10'000, 'l'), {}};
      std::atomic<bool> seen{false}, was_seen{false};
      InProcess server({{"",
                         [&](narwhal_exchange* exchange) {
                           start(exchange, -1);
                           write(exchange, "the first leaves at once ");
                           if (lends) write_lent(exchange, lent);
                           write(exchange, "the last");
                           was_seen = eventually([&] { return seen.load(); }, 10s);
                           return host_table.finish(exchange);
                         }}},
                       config_of(threads));
      Client client(server);
      client.get("/");
      while (client.buffered().find("the last") == std::string::npos && client.more()) continue;
      seen = true;
      CHECK(client.answer().whole);
      CHECK(was_seen);
      CHECK(lent.returned == (lends ? 1 : 0));
    }
  }
}

TEST_CASE("stream: quick parts leave in fewer pieces than they were written in") {
  Watchdog dog("quick parts", 60s);
  InProcess server({{"",
                     [&](narwhal_exchange* exchange) {
                       start(exchange, -1);
                       for (int part = 0; part < 5'000; ++part) write(exchange, "a row of a long table\n");
                       return host_table.finish(exchange);
                     }}},
                   config_of(1));
  Client client(server);
  client.get("/");
  CHECK(client.answer().body.size() == 5'000 * 22);
  int pieces = 1;
  client.get("/");
  while (client.buffered().find("0\r\n\r\n") == std::string::npos && client.more()) ++pieces;
  CHECK(pieces < 500);
}

TEST_CASE("stream: lent bytes come back from each way of not sending them, but not when nothing was taken") {
  Watchdog dog("lent in vain", 60s);
  Config config = config_of(1);
  config.response_buffer_size = 16'000;
  Lent early{"early", {}}, long_one{std::string(100'000, 'x'), {}}, again{"again", {}}, gone{"gone", {}},
      head{"head", {}};
  std::atomic<int> taken{0}, early_code{0}, again_code{0}, again_returned{-1}, gone_code{0};
  std::atomic<bool> slow{false}, left{false};
  InProcess server({{"/head",
                     [&](narwhal_exchange* exchange) {
                       start(exchange, 4);
                       write_lent(exchange, head);
                       return host_table.finish(exchange);
                     }},
                    {"",
                     [&](narwhal_exchange* exchange) {
                       early_code = write_lent(exchange, early);
                       start(exchange, -1);
                       while (write_lent(exchange, long_one, NARWHAL_NOWAIT) == NARWHAL_OK) ++taken;
                       again_code = write_lent(exchange, again, NARWHAL_NOWAIT);
                       again_returned = again.returned.load();
                       slow = true;
                       eventually([&] { return left.load(); });
                       eventually([&] { return host_table.gone(exchange) != 0; });
                       gone_code = write_lent(exchange, gone);
                       return NARWHAL_OK;
                     }}},
                   config);
  Client client(server, 4096);
  client.get("/");
  CHECK(eventually([&] { return slow.load(); }));
  client.reset();
  left = true;
  CHECK(eventually([&] { return gone.returned == 1; }));
  CHECK(taken > 0);
  CHECK(eventually([&] { return long_one.returned == taken; }));
  CHECK(early_code == NARWHAL_STATE);
  CHECK(early.returned == 1);
  CHECK(again_code == NARWHAL_AGAIN);
  CHECK(again_returned == 0);
  CHECK(again.returned == 0);
  CHECK(gone_code == NARWHAL_GONE);
  Client reader(server);
  reader.send("HEAD /head HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(reader.answer(true).status == 200);
  CHECK(eventually([&] { return head.returned == 1; }));
}

TEST_CASE("stream: a body that is read while it arrives never waits for the loop's clock") {
  Watchdog dog("a streamed body", 60s);
  constexpr std::size_t size = 16 << 20;
  for (const unsigned threads : {1u, 2u}) {
    CAPTURE(threads);
    std::atomic<std::size_t> total{0};
    InProcess server({{"",
                       [&](narwhal_exchange* exchange) {
                         std::vector<char> part(50'000);
                         std::int64_t got;
                         while ((got = host_table.read_body(exchange, part.data(), part.size())) > 0) {
                           total += static_cast<std::size_t>(got);
                         }
                         return got == 0 ? respond(exchange, "read") : NARWHAL_ERROR;
                       },
                       NARWHAL_STREAM_BODY}},
                     config_of(threads));
    Client client(server);
    const auto began = Clock::now();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n");
    client.send(std::string(size, 'b'));
    CHECK(client.answer().body == "read");
    CHECK(total == size);
    CHECK(Clock::now() - began < 10s);  // 64 KiB for each tick of the clock would be a minute
  }
}

TEST_CASE("stream: a handler that reads all the time keeps no other request waiting") {
  Watchdog dog("a studious handler", 60s);
  std::atomic<bool> answered{false};
  InProcess server({{"/read",
                     [&](narwhal_exchange* exchange) {
                       char byte;
                       const auto until = Clock::now() + 20s;
                       while (!answered && Clock::now() < until && host_table.read_body(exchange, &byte, 1) == 1) {
                         work(200us);
                       }
                       return respond(exchange, answered ? "in time" : "too late");
                     },
                     NARWHAL_STREAM_BODY},
                    {"", [&](narwhal_exchange* exchange) { return respond(exchange, "short"); }}},
                   config_of(2));
  Client reader(server), other(server);
  reader.send("POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + std::string(200'000, 'b'));
  std::this_thread::sleep_for(50ms);
  other.get("/");
  CHECK(other.answer().body == "short");
  answered = true;
  CHECK(reader.answer().body == "in time");
}
