#include "server/crash_watch.hpp"

#include <doctest/doctest.h>

using narwhal::Instant;
using narwhal::server::CrashWatch;
using namespace std::chrono_literals;

namespace {

constexpr Instant admission{100s};

CrashWatch watch_of(unsigned first_workers, unsigned replacements) {
  CrashWatch watch;
  watch.admitted(admission);
  for (unsigned i = 0; i < first_workers; ++i) watch.crashed_young(admission - 1s);
  for (unsigned i = 0; i < replacements; ++i) watch.crashed_young(admission + 1s);
  return watch;
}

}  // namespace

TEST_CASE("crash watch: workers that crash together are not a loop; their replacements that crash too are one") {
  CHECK_FALSE(watch_of(0, 0).loops());
  CHECK_FALSE(watch_of(16, 0).loops());
  CHECK_FALSE(watch_of(16, 1).loops());
  CHECK(watch_of(1, 2).loops());
  CHECK(watch_of(0, 3).loops());
}

TEST_CASE("crash watch: two crashes of one worker's place are not enough") {
  CHECK_FALSE(watch_of(0, 2).loops());
  CHECK(watch_of(0, 2).young() == 2);
}
