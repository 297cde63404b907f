// Conversations with a worker in which time, room or patience run out.
#include <doctest/doctest.h>

#include <random>

#include "tests/support/worker_conversation.hpp"
#include "tests/support/worker_fake_loop.hpp"
#include "tests/support/worker_in_process.hpp"

using namespace narwhal;
using namespace narwhal::worker;
using namespace std::chrono_literals;

TEST_CASE("conversation: the deadline is the handler's, however long a request has waited for it") {
  Watchdog dog("deadline", 60s);
  Config config = config_of(1);
  config.timeout = 1s;
  InProcess server({{"",
                     [](narwhal_exchange* exchange) {
                       std::this_thread::sleep_for(700ms);
                       return respond(exchange, "done");
                     }}},
                   config);
  Client first(server), second(server), third(server);
  first.get("/");
  second.get("/");
  third.get("/");
  CHECK(first.answer().status == 200);
  CHECK(second.answer().status == 200);
  CHECK(third.answer().status == 200);
  CHECK(server.stuck == 0);
}

TEST_CASE("conversation: past its deadline a request is answered 504, logged, and its worker says so once") {
  Watchdog dog("504", 60s);
  Config config = config_of(2);
  config.timeout = 1s;
  config.accesslog = "/dev/null";
  config.access_log_format = "%(h)s %(s)s %({x-powered-by}o)s %({PATH_INFO}e)s %({HTTP_HOST}e)s %(b)s";
  std::atomic<bool> let_go{false};
  std::atomic<int> last{99};
  InProcess server({{"",
                     [&](narwhal_exchange* exchange) {
                       if (path_of(exchange) != "/slow") return respond(exchange, "quick");
                       while (!let_go) {  // busy with what belongs to its exchange
                         host_table.alloc(exchange, 16);
                         host_table.variable(exchange, bytes_of("PATH_INFO"));
                         std::this_thread::sleep_for(1ms);
                       }
                       last = respond(exchange, "late");
                       return NARWHAL_OK;
                     }}},
                   config);
  Client slow(server), quick(server);
  slow.get("/slow");
  const Answer answer = slow.answer();
  CHECK(answer.status == 504);
  CHECK(Client::field(answer.head, "Connection") == "close");
  quick.get("/");
  CHECK(quick.answer().body == "quick");
  let_go = true;
  CHECK(eventually([&] { return last == NARWHAL_GONE; }));
  CHECK(eventually([&] { return server.slot().timed_out == 1; }));
  CHECK(server.stuck == 1);
  quick.get("/");
  CHECK(quick.answer().body == "quick");
}

TEST_CASE("conversation: a handler that reads its body slowly is not held against the client") {
  Watchdog dog("slow reader of a body", 60s);
  Config config = config_of(1);
  config.body_timeout = 1s;
  config.body_buffer_size = 4096;
  InProcess server({{"",
                     [](narwhal_exchange* exchange) {
                       std::this_thread::sleep_for(2'600ms);
                       std::size_t size = 0;
                       std::vector<char> buffer(65'536);
                       std::int64_t got;
                       while ((got = host_table.read_body(exchange, buffer.data(), buffer.size())) > 0) {
                         size += static_cast<std::size_t>(got);
                       }
                       return respond(exchange, got == 0 ? std::to_string(size) : "lost");
                     },
                     NARWHAL_STREAM_BODY}},
                   config);
  Client client(server);
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n");
  client.send(std::string(4'000'000, 'b'));
  CHECK(client.answer().body == "4000000");
}

TEST_CASE(
    "conversation: a client that stops in the middle of its body gets 408 after body_timeout, and its handler hears of "
    "it") {
  Watchdog dog("silent in the body", 60s);
  Config config = config_of(1);
  config.body_timeout = 1s;
  std::atomic<std::int64_t> heard{99};
  InProcess server({{"", [](narwhal_exchange* exchange) { return respond(exchange, "never"); }},
                    {"/stream",
                     [&](narwhal_exchange* exchange) {
                       char buffer[100];
                       std::int64_t got;
                       while ((got = host_table.read_body(exchange, buffer, sizeof buffer)) > 0) continue;
                       heard = got;
                       return NARWHAL_ERROR;
                     },
                     NARWHAL_STREAM_BODY}},
                   config);
  Client plain(server), stream(server);
  plain.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
  stream.send("POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
  CHECK(plain.answer().status == 408);
  CHECK(stream.answer().status == 408);
  CHECK(eventually([&] { return heard == NARWHAL_GONE; }));
  CHECK(eventually([&] { return server.slot().refused == 2 && server.answered(4) == 2; }));
}

TEST_CASE("conversation: whoever is refused is counted, as refused and by status") {
  Watchdog dog("counted refusals", 60s);
  Config config = config_of(1);
  config.limit_request_body = 10;
  InProcess server({{"", [](narwhal_exchange* exchange) { return respond(exchange, "fine"); }}}, config);
  const std::string head = " HTTP/1.1\r\nHost: x\r\n", post = "POST /" + head,
                    chunked = "Transfer-Encoding: chunked\r\n\r\n";
  const std::pair<std::string, int> refused[] = {
      {"nonsense\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET /" + std::string(5000, 'a'), 414},
      {"GET /" + head + "X: " + std::string(9000, 'a'), 431},
      {post + "Content-Length: 11\r\n\r\n", 413},
      {post + chunked + "b\r\n12345678901", 413},
      {post + chunked + "nonsense", 400},
      {post + "Expect: tea\r\n\r\n", 417},
      {post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {"CONNECT x:1" + head + "\r\n", 501},
      {"GET / HTTP/2.0\r\n", 505},
  };
  std::uint64_t by_class[6]{};
  for (const auto& [bytes, status] : refused) {
    CAPTURE(bytes);
    Client client(server);
    client.send(get("/") + bytes);
    CHECK(client.answer().status == 200);
    CHECK(client.answer().status == status);
    CHECK(client.rest().empty());
    ++by_class[2];
    ++by_class[static_cast<std::size_t>(status / 100)];
  }
  CHECK(server.slot().refused == std::size(refused));
  CHECK(server.slot().requests == 2 * std::size(refused));
  for (std::size_t hundred = 0; hundred < 6; ++hundred) CHECK(server.answered(hundred) == by_class[hundred]);
}

TEST_CASE("conversation: a slow client is waited for as long as it takes something, a silent one is dropped") {
  Watchdog dog("write_timeout", 60s);
  Config config = config_of(2);
  config.write_timeout = 1s;
  const std::string large(24'000'000, 'l');
  InProcess server({{"", [&](narwhal_exchange* exchange) { return respond(exchange, large); }}}, config);
  Client silent(server, 65'536);
  silent.get("/");
  {
    Client slow(server, 65'536);
    slow.get("/");
    std::size_t got = 0;
    const auto began = Clock::now();
    // At about six MB a second for four write_timeouts, then as quickly as it goes.
    while (got < large.size() && slow.more(15s, 65'536)) {
      got += std::exchange(slow.buffered(), {}).size();
      if (Clock::now() - began < 4s) std::this_thread::sleep_for(10ms);
    }
    CHECK(got > large.size());
  }
  CHECK(eventually([&] { return server.slot().connections == 0; }, 4s));
  std::size_t got = 0;
  while (silent.more(15s, 1'000'000)) got += std::exchange(silent.buffered(), {}).size();
  CHECK(got < large.size());
}

TEST_CASE("conversation: a writer whose client leaves hears of it, while it waits and when it does not") {
  Watchdog dog("gone while writing", 60s);
  const std::string piece(100'000, 'w');
  std::atomic<int> heard{0};
  Config config = config_of(1);
  InProcess server({{"",
                     [&](narwhal_exchange* exchange) {
                       start(exchange);
                       while (write(exchange, piece) == NARWHAL_OK) continue;
                       heard += host_table.gone(exchange);
                       return host_table.finish(exchange);
                     }}},
                   config);
  for (int round = 1; round <= 10; ++round) {
    Client client(server, 4096);
    client.get("/");
    REQUIRE(client.more());
    if (round % 2 == 0) std::this_thread::sleep_for(20ms);  // it waits for room by now
    client.reset();
    CHECK(eventually([&] { return heard == round; }));
  }
}

TEST_CASE("conversation: more requests than there is room for are refused at once, and the others are served") {
  Watchdog dog("overload", 60s);
  Config config = config_of(1);
  config.queue_size = 2;
  std::atomic<bool> let_go{false};
  InProcess server({{"",
                     [&](narwhal_exchange* exchange) {
                       while (path_of(exchange) == "/slow" && !let_go) std::this_thread::sleep_for(1ms);
                       return respond(exchange, "served");
                     }}},
                   config);
  std::vector<std::unique_ptr<Client>> clients;
  for (int index = 0; index < 5; ++index) {
    clients.push_back(std::make_unique<Client>(server));
    clients.back()->get("/quick");  // a worker without room accepts nobody: all are let in before
    REQUIRE(clients.back()->answer().body == "served");
  }
  for (unsigned index = 0; index < 3; ++index) {
    clients[index]->get("/slow");
    REQUIRE(eventually([&] { return server.slot().busy + server.slot().waiting == index + 1; }));
  }
  for (unsigned index = 3; index < 5; ++index) {
    clients[index]->get("/slow");
    const Answer answer = clients[index]->answer();
    CHECK(answer.status == 503);
    CHECK(Client::field(answer.head, "Retry-After") == "1");
  }
  CHECK(server.slot().overloaded == 2);
  let_go = true;
  for (unsigned index = 0; index < 3; ++index) CHECK(clients[index]->answer().body == "served");
  clients[4]->get("/slow");
  CHECK(clients[4]->answer().body == "served");
}

TEST_CASE("conversation: a retired worker finishes what it has, says close, and leaves") {
  Watchdog dog("drain", 60s);
  std::atomic<bool> let_go{false};
  std::atomic<int> begun{0};
  InProcess server({{"",
                     [&](narwhal_exchange* exchange) {
                       ++begun;
                       while (!let_go) std::this_thread::sleep_for(1ms);
                       return respond(exchange, "last");
                     }}},
                   config_of(2));
  Client busy(server), waiting(server), idle(server);
  busy.get("/");
  waiting.send(get("/") + get("/"));
  REQUIRE(eventually([&] { return begun == 2; }));
  server.retire();
  REQUIRE(eventually([&] { return server.slot().state == WorkerState::draining; }));
  let_go = true;
  const Answer answer = busy.answer();
  CHECK(answer.body == "last");
  CHECK(Client::field(answer.head, "Connection") == "close");
  CHECK(waiting.answer().body == "last");
  CHECK(idle.rest().empty());
  CHECK_FALSE(idle.timed_out());
  server.stop();
}

TEST_CASE("conversation: whatever clients and handlers do at once, every answer is whole or visibly cut") {
  for (const unsigned threads : {1u, 4u}) {
    CAPTURE(threads);
    Watchdog dog("everything at once", 120s);
    Jobs jobs;
    Config config = config_of(threads);
    config.response_buffer_size = 64 * 1024;
    const auto stream = [](narwhal_exchange* exchange) {
      start(exchange);
      for (int time = 0; time < 30; ++time) {
        if (write(exchange, std::string(5'000, 's')) != NARWHAL_OK) break;
      }
      return host_table.finish(exchange);
    };
    InProcess server({{"",
                       [&](narwhal_exchange* exchange) {
                         const std::string path = path_of(exchange);
                         if (path == "/sleep") std::this_thread::sleep_for(3ms);
                         if (path == "/stream") return stream(exchange);
                         if (path == "/large") return respond(exchange, std::string(150'000, 's'));
                         if (path == "/defer") {
                           jobs.run([exchange, stream] { stream(exchange); });
                           return NARWHAL_DEFERRED;
                         }
                         return respond(exchange, std::string(10, 's'));
                       }},
                      {"/echo",
                       [](narwhal_exchange* exchange) {
                         start(exchange);
                         char buffer[5'000];
                         std::int64_t got;
                         while ((got = host_table.read_body(exchange, buffer, sizeof buffer)) > 0) {
                           if (write(exchange, {buffer, static_cast<std::size_t>(got)}) != NARWHAL_OK) break;
                         }
                         return host_table.finish(exchange);
                       },
                       NARWHAL_STREAM_BODY},
                      {"/inline", [](narwhal_exchange* exchange) { return respond(exchange, std::string(10, 's')); },
                       NARWHAL_INLINE}},
                     config);
    std::atomic<int> wrong{0}, answered{0};
    std::vector<std::thread> clients;
    const auto until = Clock::now() + 3s;
    for (unsigned number = 0; number < 6; ++number) {
      clients.emplace_back([&, number] {
        std::mt19937 random(number);
        const std::pair<std::string, std::size_t> targets[] = {{"/quick", 10},       {"/sleep", 10},
                                                               {"/stream", 150'000}, {"/large", 150'000},
                                                               {"/defer", 150'000},  {"/inline", 10}};
        while (Clock::now() < until) {
          Client client(server, random() % 2 == 0 ? 4096 : 0);
          std::string all;
          std::vector<std::size_t> sizes;
          for (unsigned count = 1 + random() % 8; count != 0; --count) {
            if (random() % 6 == 0) {
              all += "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + std::string(20'000, 's');
              sizes.push_back(20'000);
            } else {
              const auto& [target, size] = targets[random() % std::size(targets)];
              all += get(target);
              sizes.push_back(size);
            }
          }
          std::thread sender([&] { client.send(all); });
          const std::size_t wanted = random() % 4 == 0 ? random() % sizes.size() : sizes.size();
          for (std::size_t index = 0; index < wanted; ++index) {
            const Answer answer = client.answer();
            if (!answer.whole || answer.body != std::string(sizes[index], 's')) ++wrong;
            if (!answer.whole) break;
            ++answered;
          }
          if (wanted != sizes.size()) client.finish_sending();
          if (wanted != sizes.size() && random() % 2 == 0) {
            while (client.more(1ms)) client.buffered().clear();
          }
          sender.join();
          if (random() % 2 == 0) client.reset();
        }
      });
    }
    for (std::thread& each : clients) each.join();
    CHECK(wrong == 0);
    CHECK(answered > 50);
    server.stop();
    jobs.join();
  }
}
