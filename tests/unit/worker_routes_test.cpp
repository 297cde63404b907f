// What a worker makes of a route's hosts and of its trailing_slash, over a connection.
#include <doctest/doctest.h>

#include "tests/support/worker_conversation.hpp"
#include "tests/support/worker_fake_loop.hpp"
#include "tests/support/worker_in_process.hpp"

using namespace narwhal;
using namespace narwhal::worker;
using namespace std::chrono_literals;

namespace {

int answer_path(narwhal_exchange* exchange) { return respond(exchange, path_of(exchange)); }

App slashes(std::string prefix, TrailingSlash trailing_slash, std::uint32_t flags = 0) {
  return {.prefix = std::move(prefix), .handle = answer_path, .flags = flags, .trailing_slash = trailing_slash};
}

}  // namespace

TEST_CASE("routes: requests of one connection go to the routes of their hosts") {
  Watchdog dog("hosts", 60s);
  const auto named = [](std::string name, std::vector<std::string> hosts) {
    return App{
        .prefix = "", .handle = [=](narwhal_exchange* exchange) { return respond(exchange, name); }, .hosts = hosts};
  };
  InProcess server({named("shop", {"shop.example"}), named("below", {"*.example"}), named("others", {})}, config_of(1));
  Client client(server);
  for (const auto& [host, name] : {std::pair{"shop.example", "shop"},
                                   {"SHOP.example:80", "shop"},
                                   {"a.example", "below"},
                                   {"x", "others"},
                                   {"shop.example.", "shop"}}) {
    client.send("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n");
    CHECK(client.answer().body == name);
  }
  client.send("GET http://shop.example/ HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(client.answer().body == "shop");
}

TEST_CASE("routes: a strict one redirects its prefix, also ahead of a body, whatever its handler takes") {
  Watchdog dog("strict", 60s);
  for (const std::uint32_t flags : {0u, static_cast<std::uint32_t>(NARWHAL_STREAM_BODY)}) {
    InProcess server({slashes("/shop", TrailingSlash::strict, flags)}, config_of(1));
    {
      Client client(server);
      client.send("GET /%73hop?a=%2F HTTP/1.1\r\nHost: x\r\n\r\n");
      const auto answer = client.answer();
      CHECK(answer.status == 308);
      CHECK(answer.head.find("\r\nLocation: ./%73hop/?a=%2F\r\n") != std::string::npos);
      client.get("/shop/");
      CHECK(client.answer().body == "/shop/");
      client.get("/shop/a");
      CHECK(client.answer().body == "/shop/a");
    }
    Client client(server);
    client.send("POST /shop HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    const auto answer = client.answer();
    CHECK(answer.status == 308);
    CHECK(answer.head.find("\r\nLocation: ./shop/\r\n") != std::string::npos);
    CHECK(answer.head.find("\r\nConnection: close\r\n") != std::string::npos);
    CHECK(server.slot().refused == 0);
  }
}

TEST_CASE("routes: a tolerant one gives the path without the slash at its end") {
  Watchdog dog("tolerant", 60s);
  InProcess server({slashes("/shop", TrailingSlash::tolerant), slashes("", TrailingSlash::tolerant)}, config_of(1));
  Client client(server);
  for (const auto& [target, path] : {std::pair{"/shop/a/", "/shop/a"},
                                     {"/shop/a", "/shop/a"},
                                     {"/shop/", "/shop/"},
                                     {"/shop", "/shop/"},
                                     {"/a/", "/a"},
                                     {"/", "/"},
                                     {"/a//", "/a/"},
                                     {"/a%2F", "/a%2F"},
                                     {"/shop/a/?b/", "/shop/a"}}) {
    client.get(target);
    CHECK(client.answer().body == path);
  }
}
