#include "worker/plugin.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <span>

#include "core/log.hpp"
#include "core/plugin_text.hpp"
#include "worker/crash.hpp"
#include "worker/hang.hpp"
#include "worker/plugin_options.hpp"
#include "worker/thread_rules.hpp"

namespace narwhal::worker {

namespace {

// Bytes of the table that every plugin of ABI 1.0 has: up to and including handle().
constexpr std::size_t smallest_table = offsetof(narwhal_plugin, handle) + sizeof(narwhal_plugin::handle);

// `flags` without the known ones; 0 where a later minor version may have added them: the plugin must do without.
template <class Flags>
Flags unknown_flags(const narwhal_plugin& plugin, Flags flags, Flags known) {
  return plugin.abi_minor > NARWHAL_ABI_MINOR ? 0 : flags & ~known;
}

std::string flags_text(std::uint64_t unknown) {
  return fmt::format(
      "flags that ABI {}.{} does not have: {:#x}: leave them out; or, if it works without them, set abi_minor to the "
      "version that they came with",
      NARWHAL_ABI_MAJOR, NARWHAL_ABI_MINOR, unknown);
}

// `plugin` has these options before this one.
Result<Done> check_option(const narwhal_option& option, const narwhal_plugin& plugin) {
  constexpr std::string_view types[] = {"string", "int", "float", "bool"};
  const std::string name = std::string("its option '") + option.key + "'";
  const std::string type = option.type == nullptr ? "" : option.type;
  if (std::find(std::begin(types), std::end(types), type) == std::end(types))
    return Error{name + " has the type '" + type + "': string, int, float or bool"};
  if (option.fallback != nullptr && !is_of_type(option.fallback, type))
    return Error{name + " has the fallback '" + option.fallback + "', which is not of its type " + type};
  if (option.fallback != nullptr && (option.flags & NARWHAL_REQUIRED) != 0)
    return Error{name + " is required and has the fallback '" + option.fallback + "': it can have one of the two"};
  if (const auto unknown = unknown_flags(plugin, option.flags, std::uint64_t{NARWHAL_REQUIRED}); unknown != 0)
    return Error{name + " has " + flags_text(unknown)};
  const std::string_view key = option.key;
  const std::span<const narwhal_option> before(plugin.options, &option);
  if (std::any_of(before.begin(), before.end(), [&](const narwhal_option& other) { return key == other.key; }))
    return Error{name + " is declared twice"};
  return Done{};
}

// What a plugin says of itself, before any of its code is called through the ABI.
Result<Done> check_table(narwhal_plugin& plugin) {
  if (plugin.handle == nullptr) return Error{"it has no handle()"};
  if (plugin.name == nullptr || *plugin.name == '\0') return Error{"it has no name: set narwhal_plugin.name"};
  constexpr std::uint32_t known = NARWHAL_INLINE | NARWHAL_STREAM_BODY;
  if (const auto unknown = unknown_flags(plugin, plugin.flags, known); unknown != 0)
    return Error{"it sets " + flags_text(unknown)};
  plugin.flags &= known;
  if (plugin.options == nullptr) return Done{};
  for (const narwhal_option* option = plugin.options; option->key != nullptr; ++option) {
    if (auto checked = check_option(*option, plugin); !checked) return checked;
  }
  return Done{};
}

// Only the forking thread exists in a child: a lock that another one held would stay locked for ever.
constexpr const char* thread_left = "it started a thread while it was loaded; threads belong in worker_init";

Result<narwhal_plugin> open_plugin(const StagedPlugin& staged) {
  void* handle = ::dlopen(staged.copy.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    std::string reason = ::dlerror();
    if (::access(staged.copy.c_str(), F_OK) != 0 && errno == ENOENT)
      return Error{"load " + staged.source + ": its private copy " + staged.copy +
                   " has been deleted, perhaps by a cleaner of temporary files: HUP makes a new one"};
    if (const auto at = reason.find(staged.copy); at != std::string::npos)
      reason.replace(at, staged.copy.size(), staged.source);
    return Error{"load " + staged.source + ": " + reason};
  }
  const auto* table = static_cast<const narwhal_plugin*>(::dlsym(handle, "narwhal_plugin_v1"));
  if (table == nullptr) return Error{"load " + staged.source + ": " + no_plugin_text};
  if (table->struct_size < smallest_table) {
    return Error{"load " + staged.source + ": its narwhal_plugin_v1 is too small (" +
                 std::to_string(table->struct_size) + " bytes): was struct_size set?"};
  }
  narwhal_plugin known{};
  std::memcpy(&known, table, std::min(table->struct_size, sizeof known));
  if (const Result<Done> checked = check_table(known); !checked)
    return Error{"load " + staged.source + ": " + checked.error()};
  if (known.version == nullptr) known.version = "";
  if (known.abi_minor > NARWHAL_ABI_MINOR) {
    log::info("{} was built for ABI {}.{}, and this server has {}.{}: what came later is not there for it",
              staged.source, NARWHAL_ABI_MAJOR, known.abi_minor, NARWHAL_ABI_MAJOR, NARWHAL_ABI_MINOR);
  }
  return known;
}

// What narwhal_boot::reserved_0 points to.
struct BootContext {
  const Mount* mount;
  Mount* flagged;                // which set_flags() may change; null: not in this hook
  const char* misuse = nullptr;  // of set_flags(): set-up fails, whatever the hook returns
  pid_t thread = ::gettid();
  std::string reason{};
};
BootContext& context_of(const narwhal_boot* boot, const char* call) {
  BootContext& context = *static_cast<BootContext*>(boot->reserved_0);
  if (context.thread != ::gettid())
    report_thread(context.mount->source.c_str(), call, "of narwhal_boot on another thread than that of the hook");
  return context;
}

narwhal_bytes boot_option(const narwhal_boot* boot, const char* key) noexcept {
  const Mount& mount = *context_of(boot, "option").mount;
  return option_value(mount.plugin, mount.options, key);
}

void boot_fail(const narwhal_boot* boot, narwhal_bytes reason) noexcept try {
  context_of(boot, "fail").reason.assign(reason.data, reason.size);
} catch (...) {
  // No memory for the reason: the hook's return value still shows that it failed.
}

void boot_set_flags(const narwhal_boot* boot, std::uint32_t flags) noexcept {
  BootContext& context = context_of(boot, "set_flags");
  if (context.flagged == nullptr) {
    context.misuse = "set_flags() was called, which only worker_init may do";
  } else if ((flags & ~(NARWHAL_INLINE | NARWHAL_STREAM_BODY)) != 0) {
    context.misuse = "set_flags() with a flag that this server does not know";
  } else {
    context.flagged->plugin.flags = flags;
  }
}

// Runs one set-up hook with its narwhal_boot. `flagged`: the mount again, in the hook that may set its flags.
template <class Hook>
HookResult run_hook(const Mount& mount, const BootInfo& info, const char* name, Hook&& hook, Mount* flagged = nullptr) {
  BootContext context{.mount = &mount, .flagged = flagged};
  narwhal_boot boot{};
  boot.struct_size = sizeof boot;
  boot.host = &host_table;
  boot.prefix = {mount.prefix.data(), mount.prefix.size()};
  boot.worker = info.worker;
  boot.threads = info.threads;
  boot.generation = info.generation;
  boot.workers = info.workers;
  boot.reserved_0 = &context;
  boot.option = boot_option;
  boot.fail = boot_fail;
  boot.set_flags = boot_set_flags;
  const int answer = hook(&boot);
  if (context.misuse != nullptr) return Error{std::string(name) + " of " + mount.source + ": " + context.misuse};
  if (answer == NARWHAL_OK) return Done{};
  HookResult failed = Error{std::string(name) + " of " + mount.source + ": " +
                            (context.reason.empty() ? "the plugin gave no reason" : context.reason) + mount.remark};
  if (answer == NARWHAL_NO_APP) failed.exit_code = exit_app_failed;
  return failed;
}

}  // namespace

Result<std::vector<std::unique_ptr<Mount>>> load_plugins(const Generation& generation, const AboutTo& about_to) {
  // What plugins print leaves with each line, and is not lost when the process dies.
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  std::map<std::string, narwhal_plugin> loaded;  // by copy: the same file mounted twice is loaded once
  std::vector<std::unique_ptr<Mount>> mounts;
  for (std::size_t index = 0; index < generation.plugins.size(); ++index) {
    const StagedPlugin& staged = generation.plugins[index];
    auto known = loaded.find(staged.copy);
    if (known == loaded.end()) {
      about_to("load " + staged.source);
      const unsigned threads_before = count_threads();
      Result<narwhal_plugin> plugin = open_plugin(staged);
      if (!plugin) return Error{plugin.error()};
      if (count_threads() > threads_before) return Error{"load " + staged.source + ": " + thread_left};
      known = loaded.emplace(staged.copy, *plugin).first;
    }
    const Route& route = generation.config.routes[index];
    auto mount = std::make_unique<Mount>();
    mount->prefix = route.prefix;
    mount->hosts = route.hosts;
    mount->trailing_slash = route.trailing_slash;
    mount->source = staged.source;
    mount->plugin = known->second;
    mount->options = route.options;
    mount->is_python = !route.plugin.empty();
    const bool is_guess = mount->is_python && route.app.find(':') == std::string::npos && route.app != "wsgi";
    if (is_guess) mount->remark = taken_for_python_text(route.app);
    mount->route = static_cast<std::uint16_t>(index);
    const auto checked = check_options(mount->plugin, mount->source, mount->options, route.option_places);
    if (!checked) return Error{checked.error() + mount->remark};
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

HookResult preload(Mount& mount, const BootInfo& info) {
  if (mount.plugin.preload == nullptr) return Done{};
  mount.preloaded = true;
  const unsigned threads_before = count_threads();
  const HookCall call("preload()", mount);
  HookResult done = run_hook(mount, info, "preload",
                             [&](const narwhal_boot* boot) { return mount.plugin.preload(boot, &mount.instance); });
  if (!done || mount.plugin.before_fork != nullptr || count_threads() <= threads_before) return done;
  HookResult failed = Error{"preload of " + mount.source + ": " + thread_left};
  failed.exit_code = exit_app_failed;
  return failed;
}

HookResult worker_init(Mount& mount, const BootInfo& info) {
  if (mount.plugin.worker_init == nullptr) return Done{};
  const HookCall call("worker_init()", mount);
  return run_hook(
      mount, info, "worker_init",
      [&](const narwhal_boot* boot) { return mount.plugin.worker_init(boot, &mount.instance); }, &mount);
}

HookResult ready_check(Mount& mount, const BootInfo& info) {
  if (mount.plugin.ready_check == nullptr) return Done{};
  const HookCall call("ready_check()", mount);
  return run_hook(mount, info, "ready_check",
                  [&](const narwhal_boot* boot) { return mount.plugin.ready_check(boot, mount.instance); });
}

}  // namespace narwhal::worker
