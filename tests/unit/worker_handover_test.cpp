#include "worker/handover.hpp"

#include <doctest/doctest.h>

#include <string>
#include <thread>

#include "worker/handler_times.hpp"

using namespace narwhal::worker;
using namespace std::chrono_literals;
using narwhal::Instant;
using Put = Handover::Put;
using Reached = Handover::Reached;

namespace {

constexpr std::size_t bytes_max = 100;

// Bytes of a response, as a writer leaves them.
struct Written {
  explicit Written(const std::string& text) { bytes.append_segment(copy_of(text)); }
  ResponseBytes bytes;
};

std::string take(Handover& handover) {
  std::vector<Segment> parts;
  handover.take(parts);
  std::string text;
  for (const Segment& part : parts) text.append(part.data, part.size);
  discard_all(parts);
  return text;
}

}  // namespace

TEST_CASE("handover: bytes arrive in order, with how far the response has come") {
  Handover handover(bytes_max);
  Written interim("early "), head("head "), end("end");
  CHECK(handover.put(interim.bytes, Reached::interim, nullptr) == Put::done);
  std::vector<Segment> parts;
  CHECK_FALSE(handover.take(parts).has_head);
  discard_all(parts);
  CHECK(handover.put(head.bytes, Reached::head, nullptr) == Put::done);
  CHECK_FALSE(handover.ended());
  CHECK(handover.put(end.bytes, Reached::end, nullptr) == Put::done);
  CHECK(handover.ended());
  CHECK(take(handover) == "head end");
  const Handover::Taken nothing = handover.take(parts);
  CHECK(nothing.has_head);
  CHECK(nothing.ended);
  CHECK(parts.empty());
}

TEST_CASE("handover: the loop is notified once, until it has taken the answer") {
  Handover handover(bytes_max);
  std::atomic<bool> posted{false};
  Written first("1"), second("2"), third("3");
  CHECK(handover.put(first.bytes, Reached::head, &posted) == Put::to_post);
  CHECK(posted);
  CHECK(handover.put(second.bytes, Reached::head, &posted) == Put::done);
  posted = false;
  CHECK(take(handover) == "12");
  CHECK(handover.put(third.bytes, Reached::head, &posted) == Put::to_post);
  CHECK(take(handover) == "3");
}

TEST_CASE("handover: bytes that stay the writer's are copied when they are posted, and only then") {
  Handover handover(bytes_max);
  std::string mine = "mine";
  for (const bool is_posted : {false, true}) {
    std::atomic<bool> posted{false};
    ResponseBytes bytes;
    bytes.append_segment({.data = mine.data(), .size = mine.size(), .borrowed = true});
    handover.put(bytes, Reached::head, is_posted ? &posted : nullptr);
    std::vector<Segment> parts;
    handover.take(parts);
    REQUIRE(parts.size() == 1);
    CHECK((parts[0].data == mine.data()) == !is_posted);
    discard_all(parts);
  }
}

TEST_CASE("handover: a writer waits while too much is unsent, and goes on when a quarter is left") {
  Handover handover(bytes_max);
  Written full(std::string(bytes_max, 'x'));
  CHECK(handover.has_room_for(bytes_max - 1));
  CHECK_FALSE(handover.has_room_for(bytes_max));
  handover.put(full.bytes, Reached::head, nullptr);
  CHECK_FALSE(handover.has_room());
  take(handover);
  handover.sent(50);
  CHECK(handover.has_room());
  CHECK_FALSE(handover.drained());
  std::thread writer([&] { handover.wait_until_drained(); });
  handover.sent(25);
  writer.join();
  CHECK(handover.drained());
}

TEST_CASE("handover: a writer that may not wait asks for room, and is notified once") {
  Handover handover(bytes_max);
  Written full(std::string(bytes_max, 'x'));
  handover.put(full.bytes, Reached::head, nullptr);
  take(handover);
  CHECK_FALSE(handover.ask_for_room());
  CHECK_FALSE(handover.take_room_event());
  CHECK_FALSE(handover.sent(50));  // there is room, but little
  CHECK(handover.sent(25));
  CHECK(handover.take_room_event());
  CHECK_FALSE(handover.take_room_event());
  CHECK(handover.ask_for_room());  // by now there is room
  CHECK_FALSE(handover.sent(25));
}

TEST_CASE("handover: the question is not lost when the room comes at the same moment") {
  for (int round = 0; round < 2000; ++round) {
    Handover handover(bytes_max);
    Written full(std::string(bytes_max, 'x'));
    handover.put(full.bytes, Reached::head, nullptr);
    take(handover);
    bool event = false;
    std::thread loop([&] { event = handover.sent(bytes_max); });
    const bool found = handover.ask_for_room();
    loop.join();
    CHECK((found || event));
    CHECK(handover.take_room_event() == event);
  }
}

TEST_CASE("handover: a writer that waits goes on when the client is gone") {
  Handover handover(bytes_max);
  Written full(std::string(bytes_max, 'x'));
  handover.put(full.bytes, Reached::head, nullptr);
  std::thread writer([&] { handover.wait_until_drained(); });
  handover.close();
  writer.join();
  CHECK_FALSE(handover.drop());
}

TEST_CASE("handler times: the longest stretch without the loop, waits for the client aside") {
  HandlerTimes times;
  times.called = Instant(10s);
  CHECK(times.longest_stretch(Instant(13s)) == 3s);
  times.reach_loop(Instant(12s));
  CHECK(times.longest_stretch(Instant(13s)) == 2s);
  times.reach_loop_after_wait(Instant(20s));
  CHECK(times.longest_stretch(Instant(21s)) == 2s);
  CHECK(times.longest_stretch(Instant(25s)) == 5s);
}
