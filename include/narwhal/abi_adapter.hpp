// AbiAdapter: turns an app object into the C functions of plugin.h. NARWHAL_PLUGIN uses it; apps do not.
// Ownership  worker_init() makes the app, worker_exit() deletes it; one for each worker and mount.
// Errors     no exception leaves these functions. What the app throws
//              during set-up                       is reported to the server, and the worker does not boot;
//              before the head of a response       is logged, and the client gets 500;
//              after it                            is logged, and the response is cut off, so that the client sees it;
//              in on_cancel(), drain() and exit    is logged.
// Threads    as plugin.h says of each hook.
#pragma once

#include <narwhal/boot.hpp>
#include <narwhal/send_response.hpp>

#include <array>
#include <exception>
#include <type_traits>

namespace narwhal::detail {

// The text of the exception that is being handled; only to be called inside a catch block.
inline std::string reason_now() noexcept {
  try {
    throw;
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception that is not a std::exception";
  }
}

// Make(const Boot&) returns the app object, one for each worker and mount.
template <auto Make>
class AbiAdapter {
 public:
  using App = decltype(Make(std::declval<const Boot&>()));

  static constexpr narwhal_plugin plugin(const PluginFacts& facts, const narwhal_option* options) {
    narwhal_plugin plugin{};
    plugin.struct_size = sizeof plugin;
    plugin.abi_minor = NARWHAL_ABI_MINOR;
    plugin.flags = facts.flags;
    plugin.name = facts.name;
    plugin.version = facts.version;
    plugin.options = options;
    plugin.worker_init = worker_init;
    if constexpr (has_ready_check) plugin.ready_check = ready_check;
    if constexpr (has_thread_init) plugin.thread_init = thread_init;
    if constexpr (has_thread_exit) plugin.thread_exit = thread_exit;
    plugin.handle = handle;
    plugin.cancel = cancel;
    if constexpr (has_drain) plugin.drain = drain;
    plugin.worker_exit = worker_exit;
    return plugin;
  }

 private:
  // Initialised from Make's return value, so that the app need be neither movable nor copyable.
  struct Instance {
    explicit Instance(const narwhal_boot* boot) : host(boot->host), app(Make(Boot(boot))) {}
    const narwhal_host* host;
    App app;
  };
  static constexpr bool has_ready_check = requires(App & app) { app.ready_check(); };
  static constexpr bool has_thread_init = requires(App & app) { app.thread_init(); };
  static constexpr bool has_thread_exit = requires(App & app) { app.thread_exit(); };
  static constexpr bool has_drain = requires(App & app) { app.drain(); };

  static App& app_of(void* instance) noexcept { return static_cast<Instance*>(instance)->app; }

  static int worker_init(const narwhal_boot* boot, void** instance) noexcept {
    host = boot->host;
    try {
      *instance = new Instance(boot);
      return NARWHAL_OK;
    } catch (...) {
      boot->fail(boot, bytes_of(reason_now()));
      return NARWHAL_ERROR;
    }
  }

  static int ready_check(const narwhal_boot* boot, void* instance) noexcept {
    try {
      app_of(instance).ready_check();
      return NARWHAL_OK;
    } catch (...) {
      boot->fail(boot, bytes_of(reason_now()));
      return NARWHAL_ERROR;
    }
  }

  static int handle(void* instance, narwhal_exchange* exchange) noexcept {
    Instance& adapted = *static_cast<Instance*>(instance);
    try {
      const Request request(adapted.host, exchange);
      Response response = adapted.app(request);
      const int code = respond(adapted.host, exchange, response);
      if (code != NARWHAL_REFUSED && code != NARWHAL_STATE) return code;
      adapted.host->fail(exchange, 500, bytes_of("the status or a header may not go on the wire"));
    } catch (const Gone&) {
      return NARWHAL_GONE;
    } catch (...) {
      adapted.host->fail(exchange, 500, bytes_of(reason_now()));
    }
    return NARWHAL_ERROR;
  }

  static void cancel(void* instance, narwhal_exchange* exchange) noexcept {
    log_exceptions([&] {
      const auto callback = take_cancel_callback(static_cast<Instance*>(instance)->host, exchange);
      if (callback) (*callback)();
    });
  }
  static int thread_init(void* instance) noexcept {
    return log_exceptions([&] { app_of(instance).thread_init(); }) ? NARWHAL_OK : NARWHAL_ERROR;
  }
  static void thread_exit(void* instance) noexcept {
    log_exceptions([&] { app_of(instance).thread_exit(); });
  }
  static void drain(void* instance) noexcept {
    log_exceptions([&] { app_of(instance).drain(); });
  }
  static void worker_exit(void* instance) noexcept {
    log_exceptions([&] { delete static_cast<Instance*>(instance); });
  }

  // For hooks that cannot report an error to the server: what they throw goes to the log. False when they threw.
  template <class Call>
  static bool log_exceptions(Call call) noexcept {
    try {
      call();
      return true;
    } catch (...) {
      log_error(reason_now());
      return false;
    }
  }
};

// The options as an ABI list: its last entry stays empty, which is its end.
constexpr auto option_list(const PluginFacts& facts) {
  std::array<narwhal_option, PluginFacts::options_max + 1> list{};
  for (std::size_t i = 0; i < PluginFacts::options_max && facts.options[i].key != nullptr; ++i) {
    const PluginFacts::Option& option = facts.options[i];
    list[i] = {option.key, option.type, option.fallback, option.help};
  }
  return list;
}

// The file's name without directories and extension: the name of a plugin that gives none.
template <std::size_t N>
constexpr std::array<char, N> stem_of(const char (&path)[N]) {
  std::array<char, N> stem{};
  std::size_t size = 0;
  for (std::size_t i = 0; i + 1 < N; ++i) {
    if (path[i] == '/') {
      size = 0;
    } else {
      stem[size++] = path[i];
    }
  }
  for (std::size_t dot = size; dot-- > 1;) {
    if (stem[dot] == '.') {
      size = dot;
      break;
    }
  }
  while (size < N) stem[size++] = '\0';
  return stem;
}

}  // namespace narwhal::detail
