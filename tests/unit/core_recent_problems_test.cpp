// What a process has logged at level warning and above, for the status.
#include "core/recent_problems.hpp"

#include <doctest/doctest.h>

using namespace narwhal;

TEST_CASE("recent problems: the last ones, and nothing below a warning") {
  note_problem(LogLevel::error, "before anybody asks");
  CHECK(recent_problems().empty());
  remember_problems(2);
  note_problem(LogLevel::info, "not a problem");
  note_problem(LogLevel::warning, "first");
  note_problem(LogLevel::error, "second");
  note_problem(LogLevel::critical, std::string(9999, 'x'));
  REQUIRE(recent_problems().size() == 2);
  CHECK(recent_problems()[0].text == "second");
  CHECK(recent_problems()[0].level == "error");
  CHECK(recent_problems()[0].time > 0);
  CHECK(recent_problems()[1].level == "critical");
  CHECK(recent_problems()[1].text.size() == 500);
  remember_problems(0);
  note_problem(LogLevel::error, "after a fork");
  CHECK(recent_problems()[1].level == "critical");
}
