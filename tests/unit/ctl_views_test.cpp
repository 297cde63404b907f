// What narwhalctl shows: lines that hold together, whatever the server's texts are.
#include <doctest/doctest.h>

#include <string>

#include "admin/ctl/views.hpp"

using narwhal::ctl::Json;

namespace {

Json status() {
  return Json::parse(
      R"json({"version":"1","title":"shop","pid":7,"started":0,"uptime_seconds":75,"status":"Generation 2: 1 of 1 workers serving",
    "ready":false,"not_ready":"every worker is stuck (1 of 1)","alive":true,"not_alive":"","stopping":false,
    "generation":2,"connections":3,"handlers":{"busy":1,"idle":0},"queue":{"length":4,"oldest_seconds":2.5},
    "listeners":[{"address":"http://127.0.0.1:80","waiting":6},{"address":"unix:/x","waiting":null}],
    "generations":[{"number":2,"phase":"serving","target":1,"threads":1,"age_seconds":90,"template_pid":8,
      "routes":[{"route":"/","hosts":[],"prefix":"/","app":"shop.so"}],
      "workers":[{"worker":1,"pid":9,"state":"serving","condition":"stuck","changed_code":true,"age_seconds":80,
        "heartbeat_age_seconds":0.1,"connections":3,"busy":1,"waiting":4,"requests":12,"resident_bytes":5242880,
        "shared_bytes":1,"running":[{"method":"GET","target":"/a\u0001\u001b[2J","route":"/","thread":1,"seconds":31.25}]}]}],
    "transactions":[{"id":1,"kind":"start","outcome":"swapped","generation":1,"began":0,"seconds":0.5,"reason":""},
      {"id":2,"kind":"reload","outcome":"refused","generation":1,"began":0,"seconds":2,"reason":"no such file"}],
    "last_transaction":2,"reloads":{"refused":1},"restarts":{"crash":2,"exit":0},"process_restarts":{"admin":0,"template":1},
    "problems":[{"time":0,"level":"error","text":"Template\u001b of generation 2 ended"}],
    "totals":{
  "accepted" : 1, "not_accepted" : 3, "log_dropped" : 4, "requests" : 12, "refused" : 0, "overloaded" : 0, "timed_out" : 0, "received_bytes" : 1,
      "sent_bytes" : 1, "routes" : [ {
        "route" : "/",
        "app" : "shop.so",
        "requests" : 12,
        "by_status" : [ 0, 0, 10, 0, 0, 2 ],
        "latency_log2_us" :
            [ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 ],
        "seconds" : 0.2
      } ]}})json");
}

Json nothing_yet() {
  Json before = status();
  Json& route = before["totals"]["routes"][0];
  route["requests"] = 0;
  for (Json& bucket : route["latency_log2_us"]) bucket = 0;
  for (Json& count : route["by_status"]) count = 0;
  return before;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("narwhalctl status: says that the server is not ready and why, what waits, what was refused") {
  const std::string text = narwhal::ctl::status_text(status());
  CHECK(has(text, "shop (narwhal 1, pid 7): NOT READY: every worker is stuck (1 of 1)\n"));
  CHECK(has(text,
            "1 of 1 handlers busy, 3 connections, 4 requests wait (the oldest 2.5 s), 6 connections wait at "
            "http://127.0.0.1:80\n"));
  CHECK(has(text, "reload refused after 2.0 s: no such file\n"));
  CHECK(has(text, "workers replaced (crash): 2\n"));
  CHECK_FALSE(has(text, "(exit)"));
  CHECK(has(text, "up 1m15s, started "));
  CHECK(has(text, "template process started again: 1\n"));
  CHECK_FALSE(has(text, "admin process"));
  CHECK(has(text, "3 times a connection could not be accepted: no descriptors or no memory left\n"));
  CHECK(has(text, "4 lines of the logs were dropped\n"));
  CHECK(has(text, "Last problems in the log:\n"));
  CHECK(has(text, "error: Template\\x1b of generation 2 ended\n"));
}

TEST_CASE("narwhalctl workers: what a worker does now, without control bytes of the client") {
  const std::string text = narwhal::ctl::workers_text(status());
  CHECK(has(text, "stuck, changed code"));
  CHECK(has(text, "5.0 MiB"));
  CHECK(has(text, "(31.2 s)"));
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find('\x01') == std::string::npos);
}

TEST_CASE("narwhalctl top: figures of the time between, cut to the screen") {
  const std::string text = narwhal::ctl::top_text(status(), nothing_yet(), 2.0, 100, 200);
  CHECK(has(text, "6.0 requests/s, median 1 ms, p99 1.0 s, 1.0 5xx/s\n"));
  const std::string small = narwhal::ctl::top_text(status(), nothing_yet(), 2.0, 2, 10);
  CHECK(small == "shop - nar\n6.0 reques\n");
}

TEST_CASE("narwhalctl: durations are short") {
  using narwhal::ctl::duration_text;
  CHECK(duration_text(0.0304) == "30 ms");
  CHECK(duration_text(59.94) == "59.9 s");
  CHECK(duration_text(61) == "1m01s");
  CHECK(duration_text(3 * 3600 + 120) == "3h02m");
  CHECK(duration_text(2 * 86400 + 3600) == "2d01h");
}
