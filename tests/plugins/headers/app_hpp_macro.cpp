// NARWHAL_APP with an expression that has commas, and with middleware.
#include <narwhal/app.hpp>

NARWHAL_APP(narwhal::wrap([](const narwhal::Request&) { return narwhal::Response::text("hello", 200); },
                          [](narwhal::App inner) -> narwhal::App {
                            return
                                [inner](const narwhal::Request& request) { return inner(request).header("X-By", "m"); };
                          }))
