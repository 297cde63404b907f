// "Did you mean": the known name that is closest to a mistyped one.
#include "core/nearest_name.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using narwhal::nearest_name;

TEST_CASE("nearest name: of a name that was cut off, the one that begins so") {
  constexpr std::string_view known[] = {"debug",   "warning",    "--error-logfile", "--user",
                                        "--umask", "header_map", "header_timeout"};
  CHECK(nearest_name("warn", known) == "warning");
  CHECK(nearest_name("--error-log", known) == "--error-logfile");
  CHECK(nearest_name("header", known) == "");  // two begin so
  CHECK(nearest_name("wa", known) == "");
}

TEST_CASE("nearest name: one typing error is allowed, another word is not") {
  const std::vector<std::string_view> known{"workers", "threads", "bind", "umask"};
  CHECK(nearest_name("worker", known) == "workers");
  CHECK(nearest_name("wrokers", known) == "workers");
  CHECK(nearest_name("workerss", known) == "workers");
  CHECK(nearest_name("bnid", known) == "bind");
  CHECK(nearest_name("thraeds", known) == "threads");
  CHECK(nearest_name("UMASK", known) == "umask");
  CHECK(nearest_name("zebra", known) == "");
  CHECK(nearest_name("", known) == "");
  CHECK(nearest_name(std::string(10'000, 'w'), known) == "");
}
