#include "worker/access_json.hpp"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <iterator>

#include "core/json_text.hpp"
#include "worker/exchange.hpp"

namespace narwhal::worker {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t value_bytes_max = 8 * 1024;

void add_text(std::string& line, std::string_view key, std::string_view value) {
  line += '"';
  line += key;
  line += "\":";
  if (value.empty()) {
    line += "null";
  } else {
    append_json_string(line, value.substr(0, value_bytes_max));
  }
  line += ',';
}

// "2026-11-29T09:20:26.123456+01:00", and the seconds since 1970.
void add_time(std::string& line) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm local{};
  ::localtime_r(&now.tv_sec, &local);
  char text[64];
  text[::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &local)] = '\0';
  const long micro = now.tv_nsec / 1000;
  const long offset = std::labs(local.tm_gmtoff) / 60;
  fmt::format_to(std::back_inserter(line), R"("time":"{}.{:06}{}{:02}:{:02}","epoch":{}.{:06},)", text, micro,
                 local.tm_gmtoff < 0 ? '-' : '+', offset / 60, offset % 60, now.tv_sec, micro);
}

// "request_headers":{"x-request-id":"a1"}, if the format names one.
void add_named(std::string& line, const AccessFormat& format, char atom, std::string_view key, const Exchange& exchange,
               const Answered& answered) {
  bool is_open = false;
  for (const AccessPiece& piece : format.pieces) {
    if (piece.atom != atom) continue;
    if (!is_open) fmt::format_to(std::back_inserter(line), R"("{}":{{)", key);
    is_open = true;
    append_json_string(line, piece.text);
    line += ':';
    const std::string_view value = named_value(piece, exchange, answered);
    if (value.data() == nullptr) {
      line += "null";
    } else {
      append_json_string(line, value.substr(0, value_bytes_max));
    }
    line += ',';
  }
  if (!is_open) return;
  line.back() = '}';
  line += ',';
}

// ["name","value"],
void add_pair(std::string& line, std::string_view name, std::string_view value) {
  line += '[';
  append_json_string(line, name);
  line += ',';
  append_json_string(line, value.substr(0, value_bytes_max));
  line += "],";
}

// Fields past this size are left out, so that no client makes a line that is too long to send.
constexpr std::size_t headers_bytes_max = 32 * 1024;

void add_all_headers(std::string& line, const Exchange& exchange, const Answered& answered) {
  const std::size_t end = line.size() + headers_bytes_max;
  line += R"("headers":[)";
  for (const Field& field : exchange.head.fields) {
    if (line.size() < end) add_pair(line, field.name, field.value);
  }
  if (line.back() == ',') line.pop_back();
  line += R"(],"sent_headers":[)";
  if (answered.own) {
    for_each_response_field(exchange.response.bytes().head(), [&](std::string_view name, std::string_view value) {
      if (line.size() < end) add_pair(line, name, value);
    });
  }
  if (line.back() == ',') line.pop_back();
  line += "],";
}

}  // namespace

void add_json_line(std::string& line, const AccessFormat& format, const Exchange& exchange, const Answered& answered,
                   Instant now) {
  const protocol::Head& head = exchange.head;
  const bool is_understood = head.method.size != 0;
  const auto took = time_taken(exchange, now);
  line += '{';
  add_time(line);
  add_text(line, "remote_address", exchange.peer.text());
  add_text(line, "client", exchange.client_address());
  add_text(line, "user", basic_user(head.field("authorization")));
  add_text(line, "request", request_line(exchange));
  add_text(line, "method", head.method);
  add_text(line, "path", is_understood ? decoded_path(exchange) : std::string());
  add_text(line, "query", head.query);
  add_text(line, "protocol", is_understood ? protocol_of(exchange) : std::string_view());
  add_text(line, "referer", head.field("referer"));
  add_text(line, "user_agent", head.field("user-agent"));
  add_named(line, format, 'i', "request_headers", exchange, answered);
  add_named(line, format, 'o', "response_headers", exchange, answered);
  add_named(line, format, 'e', "environ", exchange, answered);
  if (format.has_all_headers) add_all_headers(line, exchange, answered);
  fmt::format_to(
      std::back_inserter(line),
      R"("status":{},"response_length":{},"request_time":{}.{:06},"request_time_ms":{},"request_time_us":{},"pid":{}}})",
      answered.status, answered.body_bytes, took / 1s, took / 1us % 1'000'000, took / 1ms, took / 1us, ::getpid());
}

}  // namespace narwhal::worker
