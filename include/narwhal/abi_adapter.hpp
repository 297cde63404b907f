// AbiAdapter: turns an app object into the C functions of plugin.h. NARWHAL_PLUGIN uses it; apps do not.
// Ownership  worker_init() makes the app, worker_exit() deletes it; one for each worker and mount. What preload() has
//            made belongs to the template, which deletes it at its end; a worker has a copy of it by its fork.
// Errors     no exception leaves these functions. What the app throws
//              during set-up                       is reported to the server, and the worker does not boot;
//              before the head of a response       is answered as an HttpError asks; else logged and answered 500;
//              after it                            is logged, and the response is cut off, so that the client sees it;
//              in callbacks, drain() and exit      is logged.
// Threads    as plugin.h says of each hook.
#pragma once

#include <narwhal/boot.hpp>
#include <narwhal/send_response.hpp>

#include <array>
#include <exception>
#include <type_traits>

namespace narwhal::detail {

// The type of what App::preload() returns; void when there is no such function.
template <class App>
struct PreloadedBy {
  using Type = void;
};
template <class App>
requires requires(const Boot& boot) { App::preload(boot); }
struct PreloadedBy<App> {
  using Type = decltype(App::preload(std::declval<const Boot&>()));
};

// Make(const Boot&) returns the app object, one for each worker and mount. Facts are those that plugin() gets.
template <auto Make, const PluginFacts* Facts = nullptr>
class AbiAdapter {
 public:
  using App = decltype(Make(std::declval<const Boot&>()));
  using Preloaded = typename PreloadedBy<App>::Type;

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
    plugin.writable = writable;
    if constexpr (has_drain) plugin.drain = drain;
    plugin.worker_exit = worker_exit;
    if constexpr (has_stuck) plugin.stuck = stuck;
    if constexpr (has_slow) plugin.slow = slow;
    if constexpr (has_preload) {
      plugin.preload = preload;
      plugin.template_exit = template_exit;
      if constexpr (requires(Preloaded & made) { made.before_fork(); }) plugin.before_fork = before_fork;
      if constexpr (requires(Preloaded & made) { made.after_fork(); }) plugin.after_fork = after_fork;
    }
    return plugin;
  }

 private:
  // Initialised from Make's return value, so that the app need be neither movable nor copyable.
  struct Instance {
    Instance(const narwhal_boot* boot, void* preloaded) : host(boot->host), app(Make(Boot(boot, preloaded))) {}
    const narwhal_host* host;
    void* own = nullptr;  // made by preload() in this worker, because the template has not called it
    App app;
  };
  static constexpr bool has_preload = !std::is_void_v<Preloaded>;
  static constexpr bool has_ready_check = requires(App & app) { app.ready_check(); };
  static constexpr bool has_thread_init = requires(App & app) { app.thread_init(); };
  static constexpr bool has_thread_exit = requires(App & app) { app.thread_exit(); };
  static constexpr bool has_drain = requires(App & app) { app.drain(); };
  static constexpr bool has_stuck = requires(App & app, const Request& request) { app.stuck(request); };
  static constexpr bool has_slow = requires(App & app, const Request& request) { app.slow(request); };

  static App& app_of(void* instance) noexcept { return static_cast<Instance*>(instance)->app; }

  // Runs a part of the set-up; what it throws is the reason why that fails.
  template <class Call>
  static int set_up(const narwhal_boot* boot, Call call) noexcept {
    the_host = boot->host;
    try {
      call();
      return NARWHAL_OK;
    } catch (...) {
      boot->fail(boot, bytes_of(reason_now()));
      return NARWHAL_ERROR;
    }
  }

  static void* make_preloaded(const narwhal_boot* boot) {
    if constexpr (has_preload) {
      return new Preloaded(App::preload(Boot(boot)));
    } else {
      return nullptr;
    }
  }
  static void delete_preloaded(void* made) {
    if constexpr (has_preload) delete static_cast<Preloaded*>(made);
  }
  static int preload(const narwhal_boot* boot, void** instance) noexcept {
    return set_up(boot, [&] { *instance = make_preloaded(boot); });
  }
  static void template_exit(void* made) noexcept {
    log_exceptions("template_exit()", [&] { delete_preloaded(made); });
  }
  static void before_fork(void* made) noexcept {
    log_exceptions("before_fork()", [&] { static_cast<Preloaded*>(made)->before_fork(); });
  }
  static void after_fork(void* made) noexcept {
    log_exceptions("after_fork()", [&] { static_cast<Preloaded*>(made)->after_fork(); });
  }

  static int worker_init(const narwhal_boot* boot, void** instance) noexcept {
    return set_up(boot, [&] {
      void* const own = *instance == nullptr ? make_preloaded(boot) : nullptr;
      Instance* made = nullptr;
      try {
        made = new Instance(boot, own == nullptr ? *instance : own);
      } catch (...) {
        delete_preloaded(own);
        throw;
      }
      made->own = own;
      *instance = made;
      if constexpr (requires { made->app.streams_bodies(); }) {
        const std::uint32_t flags = Facts == nullptr ? 0 : Facts->flags;
        if (made->app.streams_bodies()) Boot(boot).set_flags(flags | NARWHAL_STREAM_BODY);
      }
    });
  }

  static int ready_check(const narwhal_boot* boot, void* instance) noexcept {
    return set_up(boot, [&] { app_of(instance).ready_check(); });
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
      return respond_exception(adapted.host, exchange);
    }
    return NARWHAL_ERROR;
  }

  static void cancel(void*, narwhal_exchange* exchange) noexcept {
    log_exceptions("cancel()", [&] {
      if (Callable<void()> callback = cancel_callbacks.take(exchange)) callback();
    });
  }
  static void writable(void*, narwhal_exchange* exchange) noexcept {
    log_exceptions("writable()", [&] { writable_callbacks.call(exchange); });
  }
  static int thread_init(void* instance) noexcept {
    return log_exceptions("thread_init()", [&] { app_of(instance).thread_init(); }) ? NARWHAL_OK : NARWHAL_ERROR;
  }
  static void thread_exit(void* instance) noexcept {
    log_exceptions("thread_exit()", [&] { app_of(instance).thread_exit(); });
  }
  static void drain(void* instance) noexcept {
    log_exceptions("drain()", [&] { app_of(instance).drain(); });
  }
  static void stuck(void* instance, narwhal_exchange* exchange) noexcept {
    Instance& adapted = *static_cast<Instance*>(instance);
    log_exceptions("stuck()", [&] { adapted.app.stuck(Request(adapted.host, exchange)); });
  }
  static void slow(void* instance, narwhal_exchange* exchange) noexcept {
    Instance& adapted = *static_cast<Instance*>(instance);
    log_exceptions("slow()", [&] { adapted.app.slow(Request(adapted.host, exchange)); });
  }
  static void worker_exit(void* instance) noexcept {
    log_exceptions("worker_exit()", [&] {
      void* const own = static_cast<Instance*>(instance)->own;
      delete static_cast<Instance*>(instance);
      delete_preloaded(own);
    });
  }

  // For hooks that cannot report an error to the server: what they throw goes to the log. False when they threw.
  template <class Call>
  static bool log_exceptions(const char* hook, Call call) noexcept {
    try {
      call();
      return true;
    } catch (...) {
      log_error(std::string(hook).append(": ").append(reason_now()));
      return false;
    }
  }
};

// The options as an ABI list: its last entry stays empty, which is its end.
constexpr auto option_list(const PluginFacts& facts) {
  std::array<narwhal_option, PluginFacts::options_max + 1> list{};
  for (std::size_t i = 0; i < PluginFacts::options_max && facts.options[i].key != nullptr; ++i) {
    const PluginFacts::Option& option = facts.options[i];
    list[i] = {option.key, option.type, option.fallback, option.help, option.required ? NARWHAL_REQUIRED : 0u};
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
