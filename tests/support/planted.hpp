// Plugins with one planted breach each: what the table tests of breaches share.
#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <narwhal/testing.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace narwhal::testing;
using narwhal::bytes_of;

namespace planted {

inline const narwhal_host* host;
inline std::thread helper;  // of a planted plugin; joined after its request
inline narwhal_exchange* kept;
inline std::atomic<bool> may_leave;  // the helper, where it waits for that

inline int keep_host(const narwhal_boot* boot, void**) {
  host = boot->host;
  return NARWHAL_OK;
}

inline narwhal_response response_of(int status = 200, std::string_view body = "x") {
  narwhal_response response{};
  response.struct_size = sizeof response;
  response.status = status;
  response.body = bytes_of(body);
  return response;
}
inline int respond(narwhal_exchange* exchange, std::string_view body = "x") {
  const narwhal_response response = response_of(200, body);
  return host->respond(exchange, &response);
}
inline int respond_with(narwhal_exchange* exchange, std::string_view name, std::string_view value) {
  narwhal_response response = response_of();
  const narwhal_field field = {bytes_of(name), bytes_of(value)};
  response.fields = &field;
  response.field_count = 1;
  CHECK(host->respond(exchange, &response) == NARWHAL_REFUSED);
  return respond(exchange);
}
inline int start(narwhal_exchange* exchange, std::int64_t size = -1) {
  narwhal_response response = response_of(200, "");
  response.body_size = size;
  return host->start(exchange, &response);
}
inline int write(narwhal_exchange* exchange, std::string_view text, std::uint32_t flags = 0) {
  return host->write(exchange, bytes_of(text), flags);
}
inline int finish_after(narwhal_exchange* exchange) {
  start(exchange);
  return host->finish(exchange);
}

using Handle = int (*)(void*, narwhal_exchange*);

struct Planted {
  const char* sentence;  // all of it; "..." at its end: its beginning
  Handle handle = [](void*, narwhal_exchange* exchange) { return respond(exchange); };
  void (*adjust)(narwhal_plugin&) = [](narwhal_plugin&) {};
  ClientRequest request = {};
  void (*play)(Worker&, const ClientRequest&) = [](Worker& worker, const ClientRequest& sent) { worker.send(sent); };
  Settings settings = {};
};

inline void streams(narwhal_plugin& plugin) { plugin.flags = NARWHAL_STREAM_BODY; }
inline void is_inline(narwhal_plugin& plugin) { plugin.flags = NARWHAL_INLINE; }
inline void twice(Worker& worker, const ClientRequest& request) {
  worker.send(request);
  worker.send({.target = "/second"});
}

inline void check(const Planted& planted) {
  CAPTURE(planted.sentence);
  narwhal_plugin plugin{};
  plugin.struct_size = sizeof plugin;
  plugin.name = "planted";
  plugin.worker_init = keep_host;
  plugin.handle = planted.handle;
  planted.adjust(plugin);
  may_leave = false;
  Worker worker(plugin, planted.settings);
  may_leave = true;
  may_leave.notify_all();
  if (worker.ready()) planted.play(worker, planted.request);
  if (helper.joinable()) helper.join();
  worker.end();
  const std::vector<std::string> breaches = worker.take_breaches();
  REQUIRE(breaches.size() == 1);
  const std::string wanted = planted.sentence;
  const bool is_beginning = wanted.ends_with("...");
  CHECK((is_beginning ? breaches[0].substr(0, wanted.size() - 3) + "..." : breaches[0]) == wanted);
}

}  // namespace planted
