#include "server/worker_process.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

#include "core/log.hpp"
#include "core/records.hpp"
#include "tests/support/folder.hpp"

using namespace narwhal;
using namespace narwhal::server;

namespace {

// What the log says when the report `hello` of a worker comes, which may have been ordered to leave before.
std::string logged_at_hello(bool is_to_leave) {
  const Folder folder;
  REQUIRE(log::open(folder.path("error.log"), LogLevel::info));
  const Generation generation;
  Pair pair = or_throw(open_pair());
  WorkerProcess worker(0, std::move(pair.master), generation, now());
  if (is_to_leave) worker.retire(now(), Successor::none);
  REQUIRE(send_record(pair.child.get(), make_record(Report::hello, 0, 0)));
  worker.read_reports(now());
  CHECK(worker.pid() == ::getpid());
  static_cast<void>(log::open("-", LogLevel::info));
  std::ifstream file(folder.path("error.log"));
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("worker process: its boot is in the log") {
  CHECK(logged_at_hello(false).find("Booting worker with pid: " + std::to_string(::getpid())) != std::string::npos);
}

TEST_CASE("worker process: one of a generation that is given up is not said to boot after the line that says why") {
  CHECK(logged_at_hello(true) == "");
}
