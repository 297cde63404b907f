// testing.hpp in one file with the plugin that it tests.
#include <narwhal/testing.hpp>

#include <narwhal/app.hpp>

NARWHAL_APP([](const narwhal::Request&) { return narwhal::Response::text("hello"); })

int main() { return narwhal::testing::Worker(narwhal_plugin_v1).get("/").status == 200 ? 0 : 1; }
