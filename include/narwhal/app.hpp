// narwhal/app.hpp: plugins in C++20. The WSGI idea: an app is a callable from a request to a response.
//
//   narwhal::Response hello(const narwhal::Request&) { return narwhal::Response::text("Hello, world!\n"); }
//   NARWHAL_APP(hello)
//
// App         anything callable with `const Request&` that returns a Response: a function, a lambda, a Router,
//             an object with members of its own. With `threads` above 1 it is called from several threads at once.
// Middleware  a function from app to app. wrap(app, outer, inner): the outermost first.
// Errors      throw. HttpError(404, "no such article") is answered so (http_error.hpp). Another exception before the
//             head of the response becomes a 500; after it, the response is cut off, so that the client sees the
//             truncation. Either way its text goes to the log.
// Set-up      the expression given to NARWHAL_APP or NARWHAL_PLUGIN is evaluated once for each worker and mount, before
//             the first request. When it throws, the worker does not boot, and the exception's text is the reason.
// Hooks       an app object may have any of: void ready_check() (throws when this worker may not accept),
//             void thread_init(), void thread_exit(), void drain(), void stuck(const Request&), void slow(const
//             Request&). plugin.h says when and on which thread they run. drain(), stuck() and slow() run on the event
//             loop: they must not block, also not on a lock that a handler holds while it writes to a slow client.
// Preloading  an app type with `static T preload(const Boot&)` gets what that returns as boot.preloaded<T>(): made once,
//             before the workers are forked, where the setting preload_app asks for it, else in each worker. T may have
//             void before_fork() and void after_fork(), which run in the template.
// Also        by headers of their own: router.hpp, url.hpp (url_for, redirect_to), cookies.hpp, form.hpp, multipart.hpp,
//             json.hpp, files.hpp, conditions.hpp, html.hpp, mime.hpp, per_thread.hpp, worker.hpp, task.hpp (coroutines),
//             metrics.hpp, timers.hpp. This one stays quick to compile.
// Ownership   the server owns the app object: made by the expression, deleted after the worker's last request.
// Build       g++ -std=c++20 -fPIC -shared -fvisibility=hidden -o hello.so hello.cpp
#pragma once

#include <narwhal/abi_adapter.hpp>
#include <narwhal/app_type.hpp>

// Defines a plugin: an expression whose value is the app, then the plugin's properties (narwhal::PluginFacts). The
// expression may use `boot`, the narwhal::Boot of this worker and mount:
//   NARWHAL_PLUGIN(Shop(boot), .name = "shop", .version = "1.2", .options = {{"currency", "string", "EUR"}})
#define NARWHAL_PLUGIN(expression, ...)                                                    \
  namespace {                                                                              \
  auto narwhal_make_app([[maybe_unused]] const narwhal::Boot& boot) { return expression; } \
  constexpr narwhal::PluginFacts narwhal_facts{__VA_ARGS__};                               \
  constexpr auto narwhal_options = narwhal::detail::option_list(narwhal_facts);            \
  }                                                                                        \
  NARWHAL_EXPORT constinit const narwhal_plugin narwhal_plugin_v1 =                        \
      narwhal::detail::AbiAdapter<narwhal_make_app, &narwhal_facts>::plugin(narwhal_facts, narwhal_options.data());

// The same without properties: no options, named after its source file.
#define NARWHAL_APP(...)                                            \
  namespace {                                                       \
  constexpr auto narwhal_name = narwhal::detail::stem_of(__FILE__); \
  }                                                                 \
  NARWHAL_PLUGIN((__VA_ARGS__), .name = narwhal_name.data())
