// Coroutines.
#include <narwhal/app.hpp>
#include <narwhal/router.hpp>
#include <narwhal/task.hpp>

namespace {

narwhal::task<int> seven() { co_return 7; }

narwhal::task<narwhal::Response> hello(narwhal::Request request) {
  const int number = co_await seven();
  const auto text = co_await narwhal::result_of<std::string>(
      [number](narwhal::Completion<std::string> done) { done(std::to_string(number)); });
  co_return narwhal::Response::text(text + std::string(request.path()));
}

}  // namespace

NARWHAL_APP(narwhal::Router().get("/", hello))
