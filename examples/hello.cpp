// The smallest plugin in C++: every request gets the same answer.
#include <narwhal/app.hpp>

narwhal::Response hello(const narwhal::Request&) { return narwhal::Response::text("Hello, world!\n"); }

NARWHAL_APP(hello)
