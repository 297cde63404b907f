// The board: what is published is read whole, in another process too, and by a reader that comes while it is written.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include "core/board.hpp"
#include "core/server_state.hpp"

using namespace narwhal;

TEST_CASE("board: empty until something is published; then the last text, in another process too") {
  Board board = or_throw(Board::create());
  CHECK_FALSE(board.read());
  CHECK(board.publish("first"));
  CHECK(board.publish("second, which is longer"));
  CHECK(board.read() == "second, which is longer");
  const pid_t child = ::fork();
  if (child == 0) {
    board.publish("from the child");
    ::_exit(0);
  }
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  CHECK(board.read() == "from the child");
  CHECK(board.publish(""));
  CHECK(board.read() == "");
}

TEST_CASE("board: a text that is too long is refused, and the last one stays") {
  Board board = or_throw(Board::create());
  REQUIRE(board.publish("short"));
  CHECK_FALSE(board.publish(std::string(Board::bytes_max + 1, 'x')));
  CHECK(board.read() == "short");
}

#if !defined(__SANITIZE_THREAD__)  // it cannot know that a torn copy is thrown away
TEST_CASE("board: a reader beside the writer never gets half of a text") {
  Board board = or_throw(Board::create());
  std::atomic<bool> done{false};
  board.publish("a");
  std::thread writer([&] {
    for (int i = 0; !done; ++i)
      board.publish(std::string(static_cast<std::size_t>(1000 + i % 5000), static_cast<char>('a' + i % 26)));
  });
  int whole = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto text = board.read();
    if (!text) continue;  // it lost every race
    REQUIRE(text->find_first_not_of(text->front()) == std::string::npos);
    ++whole;
  }
  done = true;
  writer.join();
  CHECK(whole > 100);
}
#endif

TEST_CASE("board: the beat is the master's last one") {
  Board board = or_throw(Board::create());
  CHECK(board.last_beat() == unset);
  const Instant moment = now();
  board.beat(moment);
  CHECK(board.last_beat() == moment);
}

TEST_CASE("server state: comes back from its bytes; anything else is refused") {
  ServerState state;
  state.version = "1.2";
  state.title = "shop";
  state.pid = 7;
  state.serving = 3;
  state.stopping = true;
  state.generations.push_back(
      {3, "serving", 4, 2, std::chrono::seconds(30), now(), 11, {{"/a", "a.so", {"a.example"}}}, {}});
  state.generations[0].workers.push_back({5, 77, "draining", true, now()});
  Transaction refused;
  refused.id = 9;
  refused.kind = Transaction::Kind::reload;
  refused.outcome = Transaction::Outcome::refused;
  refused.reason = "load ./a.so: no";
  state.transactions.push_back(refused);
  state.restarts = {{"crash", 2}};
  state.process_restarts = {{"template", 1}};
  state.problems = {{12, "error", "Template ended"}};
  state.past.routes.push_back({"/a", "a.so", {0, 0, 8, 0, 0, 1}, {}, 12});
  state.listeners = {{"http://127.0.0.1:80", 3}};
  state.answers.push_back({4, true, "reload", 10});
  const std::string bytes = bytes_of(state);
  const auto again = state_of(bytes);
  REQUIRE(again);
  CHECK(bytes_of(*again) == bytes);
  CHECK(again->generations[0].workers[0].life == "draining");
  CHECK(again->generations[0].routes[0].hosts == std::vector<std::string>{"a.example"});
  CHECK(again->past.routes[0].requests() == 9);
  CHECK(again->transactions[0].reason == "load ./a.so: no");
  CHECK(again->problems[0].text == "Template ended");
  for (std::size_t size = 0; size < bytes.size(); size += 3) CHECK_FALSE(state_of(bytes.substr(0, size)));
  CHECK_FALSE(state_of(bytes + "x"));
}
