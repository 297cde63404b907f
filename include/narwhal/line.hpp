// The line: the ABI's hooks around an app object. What an app throws ends here.
//   set-up        the reason goes to the server and the worker does not boot
//   before the head of a response   500, the reason in the server's log
//   after it      the response is cut off, so that the client sees the truncation
#pragma once

#include <narwhal/boot.hpp>
#include <narwhal/sending.hpp>

#include <array>
#include <exception>
#include <type_traits>

namespace narwhal::detail {

// What is wrong, as text; only to be called inside a catch block.
inline std::string reason_now() noexcept {
  try {
    throw;
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

// Make(const Boot&) returns the app object, one for each worker and mount.
template <auto Make>
class Line {
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
  // Holds the app as Make returned it, so that it need be neither movable nor copyable.
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
    Instance& line = *static_cast<Instance*>(instance);
    try {
      const Request request(line.host, exchange);
      Response response = line.app(request);
      const int code = respond(line.host, exchange, response);
      if (code != NARWHAL_REFUSED && code != NARWHAL_STATE) return code;
      line.host->fail(exchange, 500, bytes_of("the status or a header may not go on the wire"));
    } catch (const Gone&) {
      return NARWHAL_GONE;
    } catch (...) {
      line.host->fail(exchange, 500, bytes_of(reason_now()));
    }
    return NARWHAL_ERROR;
  }

  static void cancel(void* instance, narwhal_exchange* exchange) noexcept {
    guarded([&] {
      if (const auto told = take_told(static_cast<Instance*>(instance)->host, exchange)) (*told)();
    });
  }
  static int thread_init(void* instance) noexcept {
    return guarded([&] { app_of(instance).thread_init(); }) ? NARWHAL_OK : NARWHAL_ERROR;
  }
  static void thread_exit(void* instance) noexcept {
    guarded([&] { app_of(instance).thread_exit(); });
  }
  static void drain(void* instance) noexcept {
    guarded([&] { app_of(instance).drain(); });
  }
  static void worker_exit(void* instance) noexcept {
    guarded([&] { delete static_cast<Instance*>(instance); });
  }

  // Where nobody can be told but the log.
  template <class Call>
  static bool guarded(Call call) noexcept {
    try {
      call();
      return true;
    } catch (...) {
      log_error(reason_now());
      return false;
    }
  }
};

// The options as the ABI wants them; the last one stays empty.
constexpr auto option_list(const PluginFacts& facts) {
  std::array<narwhal_option, PluginFacts::options_max + 1> list{};
  for (std::size_t i = 0; i < PluginFacts::options_max && facts.options[i].key != nullptr; ++i) {
    const PluginFacts::Option& option = facts.options[i];
    list[i] = {option.key, option.type, option.fallback, option.help};
  }
  return list;
}

// The file's name without folders and extension: what a plugin is called that does not say.
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
