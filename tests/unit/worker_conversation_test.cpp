// Whole conversations with a worker: sockets, loop, crew and exchanges, in every order that hurts.
#include <doctest/doctest.h>
#include <malloc.h>
#include <sys/syscall.h>

#include "tests/support/worker_conversation.hpp"
#include "tests/support/worker_fake_loop.hpp"
#include "tests/support/worker_in_process.hpp"

using namespace narwhal;
using namespace narwhal::worker;
using namespace std::chrono_literals;

namespace {

// A worker in trouble leaves with _exit(0): in a test that would pass for success.
const pid_t test_process = ::getpid();

}  // namespace

extern "C" void _exit(int status) {
  if (::getpid() == test_process) {
    std::fprintf(stderr, "a worker left its test behind with _exit(%d)\n", status);
    std::abort();
  }
  ::syscall(SYS_exit_group, status);
  __builtin_unreachable();
}

TEST_CASE("conversation: one request after the other on a kept-alive connection") {
  Watchdog dog("kept alive", 60s);
  InProcess server({{"", [](narwhal_exchange* exchange) { return respond(exchange, path_of(exchange)); }}},
                   config_of(1));
  Client client(server);
  for (int index = 0; index < 50; ++index) {
    client.get("/" + std::to_string(index));
    CHECK(client.answer().body == "/" + std::to_string(index));
  }
}

TEST_CASE(
    "conversation: pipelined requests are answered in order, quick and slow ones, whatever the number of threads") {
  for (const unsigned threads : {1u, 3u}) {
    CAPTURE(threads);
    Watchdog dog("pipelined", 60s);
    InProcess server({{"",
                       [](narwhal_exchange* exchange) {
                         if (path_of(exchange).back() == '7') std::this_thread::sleep_for(5ms);
                         return respond(exchange, path_of(exchange));
                       }}},
                     config_of(threads));
    Client client(server);
    std::string all;
    for (int index = 0; index < 200; ++index) all += get("/" + std::to_string(index));
    client.send(all);
    for (int index = 0; index < 200; ++index) REQUIRE(client.answer().body == "/" + std::to_string(index));
  }
}

TEST_CASE("conversation: more pipelined requests than a buffer holds, behind slow ones, are all answered") {
  Watchdog dog("a full input buffer", 60s);
  InProcess server({{"",
                     [](narwhal_exchange* exchange) {
                       if (path_of(exchange).find("slow") != std::string::npos) std::this_thread::sleep_for(100ms);
                       return respond(exchange, path_of(exchange));
                     }}},
                   config_of(1));
  Client client(server);
  std::string all = get("/slow") + get("/slow");
  const std::string padding = "X-Padding: " + std::string(300, 'p') + "\r\n";
  for (int index = 0; index < 200; ++index) {
    all += "GET /" + std::to_string(index) + (index % 50 == 9 ? "slow" : "") + " HTTP/1.1\r\nHost: x\r\n" + padding +
           "\r\n";
  }
  client.send(all);
  CHECK(client.answer().body == "/slow");
  CHECK(client.answer().body == "/slow");
  for (int index = 0; index < 200; ++index) {
    REQUIRE(client.answer().body == "/" + std::to_string(index) + (index % 50 == 9 ? "slow" : ""));
  }
}

TEST_CASE("conversation: pipelined answers that fill the socket are all sent once the client reads") {
  for (const std::size_t size : {std::size_t{300}, std::size_t{9'000}, std::size_t{12'000}, std::size_t{40'000}}) {
    CAPTURE(size);
    Watchdog dog("a full socket", 60s);
    const std::string body(size, 'b');
    InProcess server({{"", [&](narwhal_exchange* exchange) { return respond(exchange, body); }}}, config_of(1));
    Client client(server, 4096);
    const int count = static_cast<int>(12'000'000 / size / (size < 1000 ? 10 : 1));
    std::thread sender([&] { client.send(repeat(get("/"), count)); });
    std::this_thread::sleep_for(300ms);
    int whole = 0;
    for (; whole < count; ++whole) {
      const Answer answer = client.answer();
      if (!answer.whole || answer.body.size() != size) break;
    }
    CHECK(whole == count);
    client.finish_sending();
    sender.join();
  }
}

TEST_CASE("conversation: streamed answers between plain ones, into a full socket, leave no writer behind") {
  Watchdog dog("streams between plain answers", 60s);
  const std::string plain(12'000, 'p'), piece(3'000, 's');
  std::atomic<int> failed{0};
  Config config = config_of(1);
  config.response_buffer_size = 16 * 1024;
  config.timeout = 8s;
  InProcess server({{"",
                     [&](narwhal_exchange* exchange) {
                       if (path_of(exchange) == "/plain") return respond(exchange, plain);
                       start(exchange);
                       for (int time = 0; time < 20; ++time) failed += write(exchange, piece) == NARWHAL_OK ? 0 : 1;
                       return host_table.finish(exchange);
                     }}},
                   config);
  Client client(server, 4096);
  constexpr int rounds = 150;
  std::thread sender([&] { client.send(repeat(get("/plain") + get("/stream"), rounds)); });
  std::this_thread::sleep_for(300ms);
  for (int round = 0; round < rounds; ++round) {
    REQUIRE(client.answer().body == plain);
    const Answer stream = client.answer();
    REQUIRE(stream.whole);
    REQUIRE(stream.body.size() == 60'000);
    if (round % 10 == 0) std::this_thread::sleep_for(5ms);
  }
  sender.join();
  CHECK(failed == 0);
  CHECK(server.stuck == 0);
}

TEST_CASE("conversation: a stream that asks for 100-continue behind pipelined requests") {
  Watchdog dog("100-continue behind pipelined requests", 60s);
  InProcess server({{"", [](narwhal_exchange* exchange) { return respond(exchange, "plain"); }},
                    {"/stream",
                     [](narwhal_exchange* exchange) {
                       start(exchange);
                       char buffer[100];
                       std::int64_t got;
                       while ((got = host_table.read_body(exchange, buffer, sizeof buffer)) > 0) {
                         write(exchange, {buffer, static_cast<std::size_t>(got)});
                       }
                       return host_table.finish(exchange);
                     },
                     NARWHAL_STREAM_BODY}},
                   config_of(2));
  for (int round = 0; round < 20; ++round) {
    Client client(server), other(server);
    client.send(get("/a") + get("/b") +
                "POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    other.send(get("/a") + get("/b") + get("/c"));
    CHECK(client.answer().body == "plain");
    CHECK(client.answer().body == "plain");
    CHECK(client.answer().status == 100);
    client.send("12345");
    CHECK(client.answer().body == "12345");
    for (int index = 0; index < 3; ++index) CHECK(other.answer().body == "plain");
  }
}

TEST_CASE("conversation: a job that answers before its handler has said that it is deferred") {
  for (const unsigned threads : {1u, 3u}) {
    CAPTURE(threads);
    Watchdog dog("answered before deferred", 60s);
    Jobs jobs;
    InProcess server({{"",
                       [&](narwhal_exchange* exchange) {
                         jobs.run([exchange] { respond(exchange, path_of(exchange)); });
                         std::this_thread::sleep_for(15ms);  // the job is done, and the standby has the loop
                         return NARWHAL_DEFERRED;
                       }}},
                     config_of(threads));
    Client client(server), other(server);
    for (int index = 0; index < 20; ++index) {
      client.get("/" + std::to_string(index));
      other.get("/other");
      CHECK(client.answer().body == "/" + std::to_string(index));
      CHECK(other.answer().body == "/other");
    }
    jobs.join();
  }
}

TEST_CASE("conversation: deferred answers, whole or streamed, lose no byte however the job and the loop meet") {
  for (const unsigned threads : {1u, 2u}) {
    CAPTURE(threads);
    Watchdog dog("deferred answers", 60s);
    // Two threads that take exchanges from a queue, as an application's pool does.
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<narwhal_exchange*> queue;
    bool over = false;
    const auto work = [&] {
      std::unique_lock lock(mutex);
      while (true) {
        changed.wait(lock, [&] { return over || !queue.empty(); });
        if (queue.empty()) return;
        narwhal_exchange* exchange = queue.front();
        queue.pop_front();
        lock.unlock();
        const std::string path = path_of(exchange);
        if (path.back() % 2 == 0) {
          respond(exchange, path);
        } else {
          start(exchange);
          for (const char c : path) write(exchange, {&c, 1});
          host_table.finish(exchange);
        }
        lock.lock();
      }
    };
    std::thread pool[] = {std::thread(work), std::thread(work)};
    {
      InProcess server({{"",
                         [&](narwhal_exchange* exchange) {
                           const std::lock_guard lock(mutex);
                           queue.push_back(exchange);
                           changed.notify_one();
                           return NARWHAL_DEFERRED;
                         }}},
                       config_of(threads));
      std::vector<std::thread> clients;
      std::atomic<int> wrong{0};
      for (int number = 0; number < 3; ++number) {
        clients.emplace_back([&, number] {
          Client client(server);
          for (int index = 0; index < 600; ++index) {
            const std::string path = "/" + std::to_string(number) + "/" + std::to_string(index);
            client.get(path);
            const Answer answer = client.answer();
            if (answer.whole && answer.body == path) continue;
            ++wrong;
            return;
          }
        });
      }
      for (std::thread& each : clients) each.join();
      CHECK(wrong == 0);
    }
    {
      const std::lock_guard lock(mutex);
      over = true;
    }
    changed.notify_all();
    for (std::thread& each : pool) each.join();
  }
}

TEST_CASE("conversation: a streaming handler that fails while its body still comes and nobody reads") {
  Watchdog dog("failed in the middle of a body", 60s);
  const std::string much(6'000'000, 'm');
  Config config = config_of(2);
  config.response_buffer_size = 32'000'000;
  InProcess server({{"", [](narwhal_exchange* exchange) { return respond(exchange, "alive"); }},
                    {"/stream",
                     [&](narwhal_exchange* exchange) {
                       start(exchange, 10'000'000);
                       write(exchange, much);
                       return NARWHAL_ERROR;
                     },
                     NARWHAL_STREAM_BODY}},
                   config);
  for (int round = 0; round < 5; ++round) {
    Client client(server, 4096);
    client.send("POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n");
    std::this_thread::sleep_for(20ms);
    client.send(std::string(2'000'000, 'b'));  // as much of it as the server takes
    client.send(std::string(1'000, 'b'));
    const std::string all = client.rest();
    CHECK(all.find("HTTP/1.1", 8) == std::string::npos);
    CHECK(all.size() < 6'500'000);
    Client other(server);
    other.get("/");
    CHECK(other.answer().body == "alive");
  }
}

TEST_CASE("conversation: a bad chunk after the answer has begun cuts it off, with no second head") {
  Watchdog dog("a bad chunk", 60s);
  InProcess server({{"",
                     [](narwhal_exchange* exchange) {
                       start(exchange);
                       char buffer[100];
                       std::int64_t got;
                       while ((got = host_table.read_body(exchange, buffer, sizeof buffer)) > 0) {
                         write(exchange, {buffer, static_cast<std::size_t>(got)});
                       }
                       return got == 0 ? host_table.finish(exchange) : NARWHAL_ERROR;
                     },
                     NARWHAL_STREAM_BODY}},
                   config_of(2));
  Client client(server);
  client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  while (client.buffered().find("abc") == std::string::npos) REQUIRE(client.more());
  client.send("this is not a chunk\r\n");
  const std::string all = client.rest();
  CHECK_FALSE(client.timed_out());
  CHECK(all.find("HTTP/1.1", 8) == std::string::npos);
  CHECK(all.find("0\r\n\r\n") == std::string::npos);  // nobody can take it for the whole
}

TEST_CASE("conversation: clients that leave before their answer cost no memory") {
  Watchdog dog("clients that leave", 120s);
  std::atomic<bool> client_left{false};
  const std::string too_late(40'000, 'l');  // more than is held back: sent while the exchange is still in hand
  // Inline, so that the loop cannot notice before the answer is sent.
  InProcess server({{"",
                     [&](narwhal_exchange* exchange) {
                       if (path_of(exchange) != "/wait") return respond(exchange, "in time");
                       while (!client_left) std::this_thread::yield();
                       return respond(exchange, too_late);
                     },
                     NARWHAL_INLINE}},
                   config_of(1));
  const auto leave = [&] {
    client_left = false;
    Client client(server);
    client.get("/wait");
    while (server.slot().running[0].started.load() == narwhal::Running::idle) std::this_thread::yield();
    client.reset();
    client_left = true;
    // The worker is back at its loop once it has answered somebody else.
    Client other(server);
    other.get("/");
    REQUIRE(other.answer().body == "in time");
  };
  for (int warm_up = 0; warm_up < 20; ++warm_up) leave();
  const std::size_t before = ::mallinfo2().uordblks;
  for (int time = 0; time < 200; ++time) leave();
  const std::size_t after = ::mallinfo2().uordblks;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  CHECK(after < before + 1'000'000);  // 200 exchanges and their buffers would be several times that
#else
  CHECK(before >= 0 * after);
#endif
}

TEST_CASE("conversation: a deferred exchange that was ended is not cancelled") {
  Watchdog dog("cancel after the end", 60s);
  std::atomic<int> cancelled{0};
  std::atomic<bool> hold{false}, holding{false};
  std::atomic<narwhal_exchange*> deferred{nullptr};
  InProcess server({{"",
                     [&](narwhal_exchange* exchange) {
                       deferred = exchange;
                       return NARWHAL_DEFERRED;
                     },
                     0, [&](narwhal_exchange*) { ++cancelled; }},
                    {"/hold",
                     [&](narwhal_exchange* exchange) {
                       holding = true;
                       while (hold) std::this_thread::yield();
                       return respond(exchange, "held");
                     },
                     NARWHAL_INLINE}},
                   config_of(1));
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    deferred = nullptr;
    Client client(server), holder(server);
    client.get("/");
    REQUIRE(eventually([&] { return deferred.load() != nullptr; }));
    std::this_thread::sleep_for(2ms);  // handle() has returned
    hold = true, holding = false;
    holder.get("/hold");
    REQUIRE(eventually([&] { return holding.load(); }));
    // While the loop is held up the plugin ends its exchange, and then the client leaves.
    CHECK(respond(deferred, "done") == NARWHAL_OK);
    client.reset();
    hold = false;
    CHECK(holder.answer().body == "held");
    CHECK(cancelled == 0);
  }
}

TEST_CASE("conversation: a deferred exchange whose client leaves is cancelled once, and ends quietly") {
  Watchdog dog("cancel", 60s);
  std::atomic<int> cancelled{0}, gone{0}, begun{0};
  Jobs jobs;
  InProcess server({{"",
                     [&](narwhal_exchange* exchange) {
                       ++begun;
                       jobs.run([&, exchange] {
                         eventually([&] { return host_table.gone(exchange) != 0; }, 5s);
                         eventually([&] { return cancelled > gone; }, 5s);
                         gone += respond(exchange, "late") == NARWHAL_GONE ? 1 : 0;
                       });
                       return NARWHAL_DEFERRED;
                     },
                     0, [&](narwhal_exchange*) { ++cancelled; }}},
                   config_of(1));
  for (int round = 1; round <= 10; ++round) {
    Client client(server);
    client.get("/");
    REQUIRE(eventually([&] { return begun == round; }));
    if (round % 2 == 0) std::this_thread::sleep_for(3ms);
    client.reset();
    REQUIRE(eventually([&] { return gone == round; }, 5s));
    CHECK(cancelled == round);
  }
  jobs.join();
}
