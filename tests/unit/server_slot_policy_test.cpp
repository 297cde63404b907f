#include "server/slot_policy.hpp"

#include <doctest/doctest.h>

#include <initializer_list>

using namespace narwhal::server;

namespace {

constexpr Life all_lives[] = {Life::spawning, Life::booting,  Life::ready,    Life::serving,
                              Life::expired,  Life::outgoing, Life::draining, Life::quitting,
                              Life::aborting, Life::lost,     Life::killed,   Life::gone};
constexpr Event all_events[] = {Event::hello,    Event::ready,  Event::admit,  Event::expired,
                                Event::give_way, Event::leaves, Event::retire, Event::quit,
                                Event::silent,   Event::late,   Event::closed, Event::exited};

struct Cell {
  Life life;
  Event event;
  Step expected;
};

// Every cell that changes something. All others do not change the worker's state.
constexpr Cell cells[] = {
    {Life::spawning, Event::hello, {Life::booting, Action::none}},
    {Life::spawning, Event::retire, {Life::quitting, Action::quit}},
    {Life::spawning, Event::quit, {Life::quitting, Action::quit}},
    {Life::spawning, Event::late, {Life::killed, Action::kill}},
    {Life::booting, Event::ready, {Life::ready, Action::none}},
    {Life::booting, Event::retire, {Life::quitting, Action::quit}},
    {Life::booting, Event::quit, {Life::quitting, Action::quit}},
    {Life::booting, Event::late, {Life::aborting, Action::abort}},
    {Life::booting, Event::closed, {Life::lost, Action::none}},
    {Life::ready, Event::admit, {Life::serving, Action::accept}},
    {Life::ready, Event::retire, {Life::quitting, Action::quit}},
    {Life::ready, Event::quit, {Life::quitting, Action::quit}},
    {Life::ready, Event::closed, {Life::lost, Action::none}},
    {Life::serving, Event::expired, {Life::expired, Action::none}},
    {Life::serving, Event::give_way, {Life::outgoing, Action::none}},
    {Life::serving, Event::leaves, {Life::draining, Action::none}},
    {Life::serving, Event::retire, {Life::draining, Action::drain}},
    {Life::serving, Event::quit, {Life::quitting, Action::quit}},
    {Life::serving, Event::silent, {Life::aborting, Action::abort}},
    {Life::serving, Event::closed, {Life::lost, Action::none}},
    {Life::expired, Event::give_way, {Life::outgoing, Action::none}},
    {Life::expired, Event::leaves, {Life::draining, Action::none}},
    {Life::expired, Event::retire, {Life::draining, Action::drain}},
    {Life::expired, Event::quit, {Life::quitting, Action::quit}},
    {Life::expired, Event::silent, {Life::aborting, Action::abort}},
    {Life::expired, Event::closed, {Life::lost, Action::none}},
    {Life::outgoing, Event::leaves, {Life::draining, Action::none}},
    {Life::outgoing, Event::retire, {Life::draining, Action::drain}},
    {Life::outgoing, Event::quit, {Life::quitting, Action::quit}},
    {Life::outgoing, Event::silent, {Life::aborting, Action::abort}},
    {Life::outgoing, Event::closed, {Life::lost, Action::none}},
    {Life::draining, Event::quit, {Life::quitting, Action::quit}},
    {Life::draining, Event::silent, {Life::aborting, Action::abort}},
    {Life::draining, Event::late, {Life::killed, Action::kill}},
    {Life::quitting, Event::late, {Life::killed, Action::kill}},
    {Life::aborting, Event::late, {Life::killed, Action::kill}},
    {Life::lost, Event::quit, {Life::killed, Action::kill}},
    {Life::lost, Event::late, {Life::killed, Action::kill}},
};

Step expected(Life life, Event event) {
  if (event == Event::exited) return {Life::gone, Action::none};
  for (const Cell& cell : cells) {
    if (cell.life == life && cell.event == event) return cell.expected;
  }
  return {life, Action::none};
}

}  // namespace

TEST_CASE("slot policy: each cell of the table") {
  for (const Life life : all_lives) {
    for (const Event event : all_events) {
      CAPTURE(life_name(life));
      CAPTURE(static_cast<int>(event));
      CHECK(step(life, event) == expected(life, event));
    }
  }
}

TEST_CASE("slot policy: from any state, a stop that exceeds its time ends in a kill or is finished already") {
  for (const Life life : all_lives) {
    CAPTURE(life_name(life));
    const Life stopped = step(life, Event::quit).next;
    const Life late = step(stopped, Event::late).next;
    CHECK((late == Life::killed || late == Life::gone));
  }
}

TEST_CASE("slot policy: every state that waits for the worker has a time limit, except serving") {
  for (const Life life : {Life::spawning, Life::booting, Life::draining, Life::quitting, Life::aborting, Life::lost}) {
    CAPTURE(life_name(life));
    CHECK(limit_of(life) != Limit::none);
    // One that hangs at boot may first log where.
    const Step late = step(life, Event::late);
    CHECK((late.action == Action::kill || step(late.next, Event::late).action == Action::kill));
  }
}

TEST_CASE("slot policy: a worker accepts once, and only after ready") {
  for (const Life life : all_lives) {
    for (const Event event : all_events) {
      const bool accepts = step(life, event).action == Action::accept;
      CHECK(accepts == (life == Life::ready && event == Event::admit));
    }
  }
}

TEST_CASE("slot policy: a worker that has passed a limit serves and holds its place until its turn has come") {
  const Life expired = step(Life::serving, Event::expired).next;
  CHECK(accepts(expired));
  CHECK_FALSE(frees_its_place(expired));
  const Life outgoing = step(expired, Event::give_way).next;
  CHECK(accepts(outgoing));
  CHECK(frees_its_place(outgoing));
  CHECK(step(outgoing, Event::expired).next == outgoing);
}

TEST_CASE("slot policy: one worker in eight is replaced at a time, and at least one") {
  for (const unsigned target : {1u, 2u, 7u, 8u, 15u}) CHECK(outgoing_max(target) == 1);
  CHECK(outgoing_max(16) == 2);
  CHECK(outgoing_max(500) == 62);
}
