#include "core/log_records.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>

using namespace narwhal;

namespace {

std::string received(const LogSockets& sockets) {
  char bytes[8192];
  const ssize_t size = ::recv(sockets.reader.get(), bytes, sizeof bytes, MSG_DONTWAIT);
  return size < 0 ? "(nothing)" : std::string(bytes, static_cast<std::size_t>(size));
}

Config with(const std::function<void(Config&)>& change) {
  Config config;
  change(config);
  return config;
}

}  // namespace

TEST_CASE("log records: a message arrives whole, and none is lost while nobody reads") {
  LogSockets sockets;
  REQUIRE(open_log_sockets(sockets));
  CHECK(send_log_message(sockets.writer.get(), "one\n") == LogDelivery::yes);
  CHECK(send_log_message(sockets.writer.get(), "two\nthree\n") == LogDelivery::yes);
  CHECK(received(sockets) == "one\n");
  CHECK(received(sockets) == "two\nthree\n");
  CHECK(received(sockets) == "(nothing)");
}

TEST_CASE("log records: a full queue and a message that is too long have different results, and nothing waits") {
  LogSockets sockets;
  REQUIRE(open_log_sockets(sockets));
  const std::string message(log_message_bytes_max, 'x');
  unsigned count = 0;
  while (send_log_message(sockets.writer.get(), message) == LogDelivery::yes) ++count;
  CHECK(count > 30);
  CHECK(send_log_message(sockets.writer.get(), message) == LogDelivery::full);
  for (unsigned index = 0; index < count; ++index) received(sockets);
  CHECK(send_log_message(sockets.writer.get(), message) == LogDelivery::yes);
  CHECK(send_log_message(sockets.writer.get(), std::string(64 << 20, 'x')) == LogDelivery::refused);
  sockets.reader = Fd();
  CHECK(send_log_message(sockets.writer.get(), message) == LogDelivery::refused);
}

TEST_CASE("log records: a line of the error log has level, sender, time and text") {
  const std::string record = error_log_record(LogLevel::warning, "a \"b\"\n\xff", "", false);
  CHECK(record.starts_with("E{\"level\":\"warning\",\"pid\":" + std::to_string(::getpid()) + ",\"time\":"));
  CHECK(record.ends_with(",\"text\":\"a \\\"b\\\"\\n\\ufffd\"}\n"));
  CHECK(error_log_record(LogLevel::error, "x", "Trace\n  y", true)
            .ends_with(R"("text":"x","trace":"Trace\n  y","always":true})"
                       "\n"));
  const LogMetric workers{"gunicorn.workers", "gauge", 3};
  CHECK(error_log_record(LogLevel::debug, "3 workers", "", false, &workers)
            .ends_with(R"("text":"3 workers","metric":"gunicorn.workers","mtype":"gauge","value":3})"
                       "\n"));
}

TEST_CASE("log records: an endless text is cut") {
  const std::string record =
      error_log_record(LogLevel::info, std::string(100'000, 'a'), std::string(200'000, 'b'), false);
  CHECK(record.size() < 100 * 1024);
  CHECK(record.find(R"("cut":true)") != std::string::npos);
}

TEST_CASE("log records: which settings need the log process, and what it is sent") {
  const Config none = with([](Config& config) { config.accesslog = "-"; });
  CHECK_FALSE(needs_log_process(none));
  CHECK_FALSE(logs_requests(none));
  CHECK_FALSE(needs_log_process(with([](Config& config) { config.logger_class = "gunicorn.glogging.Logger"; })));
  CHECK_FALSE(needs_log_process(with([](Config& config) { config.syslog_addr = "udp://x:1"; })));
  const Config syslog = with([](Config& config) { config.syslog = true; });
  CHECK(needs_log_process(syslog));
  CHECK(logs_requests(syslog));
  CHECK_FALSE(logs_all_headers(syslog));
  CHECK_FALSE(
      logs_requests(with([](Config& config) { config.syslog = config.disable_redirect_access_to_syslog = true; })));
  CHECK(logs_requests(with([](Config& config) { config.statsd_host = "x:1"; })));
  for (std::string Config::*const setting : {&Config::logconfig, &Config::logconfig_json, &Config::logger_class}) {
    const Config config = with([setting](Config& made) { made.*setting = "a.b"; });
    CHECK(needs_log_process(config));
    CHECK(logs_requests(config));
    CHECK(logs_all_headers(config));
  }
  CHECK(logs_all_headers(with([](Config& config) { config.logconfig_dict = true; })));
  const Config filtered = with([](Config& config) { config.conf_changes_loggers = true; });
  CHECK(needs_log_process(filtered));
  CHECK(logs_all_headers(filtered));
  CHECK_FALSE(logs_requests(filtered));  // there is no accesslog
}
