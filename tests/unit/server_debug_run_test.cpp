// The settings of --debug, and which of those that were given it names as ignored.
#include <doctest/doctest.h>

#include "server/debug_run.hpp"
#include "tests/support/start_folder.hpp"

namespace narwhal::server {

TEST_CASE("debug: handlers have no time limit, and what needs a master or another process has its default") {
  Config given;
  given.workers = 8;
  given.user = "nobody";
  given.daemon = given.has_master_hooks = given.conf_changes_loggers = true;
  given.statsd_host = "localhost:8125";
  given.threads = 3;
  given.accesslog = "/var/log/access.log";
  given.raw_env = {{"A", "1"}};
  Route route;
  route.timeout = std::chrono::seconds{7};
  given.routes = {route};
  const Config used = debug_config(given);
  CHECK(used.workers == 1);
  CHECK(used.user.empty());
  CHECK(used.statsd_host.empty());
  CHECK_FALSE((used.daemon || used.has_master_hooks || used.conf_changes_loggers));
  CHECK(used.timeout.count() == 0);
  CHECK(used.heartbeat_timeout.count() == 0);
  CHECK_FALSE(used.routes.front().timeout);
  CHECK(used.threads == 3);
  CHECK(used.accesslog == given.accesslog);
  CHECK(used.raw_env == given.raw_env);
}

TEST_CASE("debug: a setting that was given is named if it has no effect, and no other") {
  const StartFolder start;
  CHECK(ignored_in_debug(start.good({"--debug", "a"})).empty());
  CHECK(ignored_in_debug(start.good({"--debug", "-w", "1", "--threads", "4", "--keep-alive", "3", "a"})).empty());
  CHECK(ignored_in_debug(start.good({"--debug", "-w", "2", "-D", "--soft-timeout", "3", "a"})) ==
        std::vector<std::string>{"workers", "daemon", "soft_timeout"});
  start.write("narwhal.yaml",
              "routes: [{prefix: /, app: a.so, timeout: 3}]\ncontrol_socket: /tmp/x\npoison_limit: 3\n");
  CHECK(ignored_in_debug(start.good({"--debug"})) ==
        std::vector<std::string>{"control_socket", "poison_limit", "the time limits of routes"});
}

}  // namespace narwhal::server
