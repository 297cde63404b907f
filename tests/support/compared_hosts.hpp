// Plugin code in the test harness and in a real worker: what its calls return, and what its client gets, must be equal.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <future>
#include <narwhal/testing.hpp>
#include <string>
#include <vector>

#include "tests/support/answer_text.hpp"
#include "tests/support/worker_conversation.hpp"
#include "tests/support/worker_in_process.hpp"

namespace compared {

using namespace narwhal;
using namespace narwhal::worker;
namespace harness = narwhal::testing;
using answers::text_of_bytes;

// A plugin's code that notes what its calls return.
class Calls {
 public:
  Calls(const narwhal_host& host, narwhal_exchange* exchange, std::string& codes)
      : host_(host), exchange_(exchange), codes_(codes) {}

  int note(const char* call, std::int64_t code) {
    codes_ += std::string(call) + " " + std::to_string(code) + "; ";
    return static_cast<int>(code);
  }
  int respond(int status, std::string_view body, harness::Fields fields = {}, std::string_view reason = "") {
    narwhal_response response = head(status, fields, reason);
    response.body = narwhal::bytes_of(body);
    return note("respond", host_.respond(exchange_, &response));
  }
  int start(std::int64_t size, harness::Fields fields = {}, int status = 200) {
    narwhal_response response = head(status, fields, "");
    response.body_size = size;
    return note("start", host_.start(exchange_, &response));
  }
  int write(std::string_view text) { return note("write", host_.write(exchange_, narwhal::bytes_of(text), 0)); }
  int lend(std::string_view text) {
    return note("write_lent", host_.write_lent(
                                  exchange_, narwhal::bytes_of(text), 0, [](void*) {}, nullptr));
  }
  int send_file(int fd, std::int64_t offset, std::int64_t length) {
    return note("send_file", host_.send_file(exchange_, fd, offset, length));
  }
  int finish() { return note("finish", host_.finish(exchange_)); }
  int fail(int status) { return note("fail", host_.fail(exchange_, status, narwhal::bytes_of("the reason"))); }
  int inform(int status, harness::Fields fields = {}) {
    const narwhal_response response = head(status, fields, "");
    return note("inform", host_.inform(exchange_, status, response.fields, response.field_count));
  }
  int trailers(harness::Fields fields) {
    const narwhal_response response = head(200, fields, "");
    return note("trailers", host_.trailers(exchange_, response.fields, response.field_count));
  }
  const narwhal_host& host() const { return host_; }
  narwhal_exchange* exchange() const { return exchange_; }

 private:
  // The views are valid until the next call.
  narwhal_response head(int status, const harness::Fields& fields, std::string_view reason) {
    fields_ = fields;
    list_.clear();
    for (const auto& [name, value] : fields_) list_.push_back({narwhal::bytes_of(name), narwhal::bytes_of(value)});
    narwhal_response response{};
    response.struct_size = sizeof response;
    response.status = status;
    response.fields = list_.data();
    response.field_count = static_cast<std::uint32_t>(list_.size());
    response.reason = narwhal::bytes_of(reason);
    return response;
  }

  const narwhal_host& host_;
  narwhal_exchange* exchange_;
  std::string& codes_;
  harness::Fields fields_;
  std::vector<narwhal_field> list_;
};

// What a client sends to both.
struct Sent {
  std::string method = "GET", target = "/", protocol = "HTTP/1.1", body = "";
  harness::Fields headers = {};
};

// ---- the two hosts ----

using Plugin = std::function<int(const narwhal_host& host, narwhal_exchange*)>;
using Code = std::function<int(Calls&)>;

// Of a plugin whose code is `code`, on the handler's thread or later on another.
struct Running {
  Code code;
  bool later;
  std::string codes{};
  std::promise<void> done{};
  Jobs jobs{};

  int handle(const narwhal_host& host, narwhal_exchange* exchange) {
    if (!later) return run(host, exchange);
    jobs.run([this, &host, exchange] { run(host, exchange); });
    return NARWHAL_DEFERRED;
  }
  int run(const narwhal_host& host, narwhal_exchange* exchange) {
    Calls calls(host, exchange, codes);
    const int result = code(calls);
    done.set_value();
    return result;
  }
};

inline Plugin running;
inline const narwhal_host* harness_host;

inline std::string in_harness(const Plugin& plugin, const Sent& sent) {
  running = plugin;
  narwhal_plugin table{};
  table.struct_size = sizeof table;
  table.name = "compared";
  table.worker_init = [](const narwhal_boot* boot, void**) { return harness_host = boot->host, NARWHAL_OK; };
  table.handle = [](void*, narwhal_exchange* exchange) { return running(*harness_host, exchange); };
  harness::Worker worker(table);
  harness::Fields headers = sent.headers;
  headers.emplace_back("Connection", "close");
  const harness::Answer answer = worker.send({.method = sent.method,
                                              .target = sent.target,
                                              .body = sent.body,
                                              .headers = headers,
                                              .protocol = sent.protocol,
                                              .peer = "127.0.0.1"});
  worker.end();
  worker.take_breaches();
  return answers::text_of(answer);
}

inline std::string in_worker(const Plugin& plugin, const Sent& sent) {
  InProcess server({{"", [&](narwhal_exchange* exchange) { return plugin(host_table, exchange); }}}, config_of(1));
  Client client(server);
  std::string request = sent.method + " " + sent.target + " " + sent.protocol + "\r\nHost: localhost\r\n";
  for (const auto& [name, value] : sent.headers) request += name + ": " + value + "\r\n";
  request += "Connection: close\r\n";
  if (!sent.body.empty()) request += "Content-Length: " + std::to_string(sent.body.size()) + "\r\n";
  client.send(request + "\r\n" + sent.body);
  const std::string bytes = client.rest();
  CHECK_FALSE(client.timed_out());
  return text_of_bytes(bytes, client.was_reset(), sent.method == "HEAD");
}

inline void compare(const Code& code, const Sent& sent, bool later) {
  Running here{code, later}, there{code, later};
  const auto in = [](Running& one) {
    return [&one](const narwhal_host& host, narwhal_exchange* exchange) { return one.handle(host, exchange); };
  };
  const std::string harness_answer = in_harness(in(here), sent);
  const std::string worker_answer = in_worker(in(there), sent);
  here.done.get_future().get();
  there.done.get_future().get();
  here.jobs.join();
  there.jobs.join();
  CHECK(harness_answer == worker_answer);
  CHECK(here.codes == there.codes);
}

}  // namespace compared
