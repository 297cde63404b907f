// testing.hpp on its own, and with the names of the server's own headers.
#include <narwhal/testing.hpp>

#include "core/bytes.hpp"
#include "core/result.hpp"

int main() {
  narwhal::testing::on_breach([](const std::string& breach) { throw std::logic_error(breach); });
  narwhal::testing::Worker worker(narwhal_plugin_v1, {.options = {{"currency", "SEK"}}, .prefix = "/shop"});
  narwhal::testing::Client client = worker.begin({.method = "POST", .target = "/shop", .body = "7"});
  return client.answer().status == 200 && narwhal::testing::Worker("./shop.so", {.threads = 2}).ready() ? 0 : 1;
}
