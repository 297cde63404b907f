// How a plugin is loaded, checked and set up: the errors of the server, and what narwhal_boot offers.
// Ownership  a plugin that is loaded stays loaded, as in the server.
// Errors     a text that says why the worker does not boot; empty: it does. What the plugin has done wrong is a breach too.
// Threads    those of plugin.h: [boot] is the worker's main thread.
#pragma once

#include <narwhal/testing/host.hpp>

#include <dlfcn.h>

#include <charconv>
#include <cstring>
#include <filesystem>
#include <thread>

namespace narwhal::testing::detail {

inline std::size_t count_threads() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& task : std::filesystem::directory_iterator("/proc/self/task")) ++count;
  return count;
}

// Why a library has no table for this major version.
inline std::string without_table(void* library) {
  constexpr int majors_max = 100;
  const std::string own = std::to_string(NARWHAL_ABI_MAJOR);
  for (int number = 0; number < majors_max; ++number) {
    const std::string major = std::to_string(number), symbol = "narwhal_plugin_v" + major;
    if (::dlsym(library, symbol.c_str()) == nullptr) continue;
    return "a plugin for version " + major + " of the plugin ABI (" + symbol + "), but this narwhal has version " +
           own + " (narwhal_plugin_v" + own +
           "): build the plugin again with this narwhal's headers, or run a narwhal that has its version";
  }
  return "no symbol narwhal_plugin_v" + own +
         ": is this a narwhal plugin? In C its table needs NARWHAL_EXPORT, or -fvisibility=hidden hides it; in C++ "
         "NARWHAL_APP makes the table";
}

// Null: `error` says why.
inline const narwhal_plugin* open_plugin(Site& site, const std::string& file, std::string& error) {
  const std::size_t threads = count_threads();
  // Without a slash dlopen() would search the system's folders.
  const std::string path = file.find('/') == file.npos ? "./" + file : file;
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    error = "load " + file + ": " + ::dlerror();
    return nullptr;
  }
  if (count_threads() > threads) {
    site.breach("started a thread while it was loaded: it would not exist in the workers: start it in worker_init()");
    error = "load " + file + ": it started a thread while it was loaded; threads belong in worker_init";
    return nullptr;
  }
  const void* const table = ::dlsym(library, "narwhal_plugin_v1");
  if (table == nullptr) error = "load " + file + ": " + without_table(library);
  return static_cast<const narwhal_plugin*>(table);
}

inline const narwhal_option* find_option(const narwhal_plugin& plugin, std::string_view key) {
  for (const narwhal_option* each = plugin.options; each != nullptr && each->key != nullptr; ++each) {
    if (key == each->key) return each;
  }
  return nullptr;
}

// ---- the table ----

template <class Number>
bool is_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

inline bool is_of_type(std::string_view value, std::string_view type) {
  if (type == "int") return is_number<std::int64_t>(value);
  if (type == "float") return is_number<double>(value);
  return type != "bool" || parse_bool(value).has_value();
}

// A plugin of a later minor version may have flags that came with it: it must do without them here.
inline std::uint64_t unknown_flags(const narwhal_plugin& plugin, std::uint64_t flags, std::uint64_t known) {
  return plugin.abi_minor > NARWHAL_ABI_MINOR ? 0 : flags & ~known;
}
inline std::string flags_text(std::uint64_t unknown) {
  char hex[24];
  std::snprintf(hex, sizeof hex, "%#llx", static_cast<unsigned long long>(unknown));
  return "flags that ABI " + std::to_string(NARWHAL_ABI_MAJOR) + "." + std::to_string(NARWHAL_ABI_MINOR) +
         " does not have: " + hex +
         ": leave them out; or, if it works without them, set abi_minor to the version that they came with";
}

inline std::string fault_of_option(const narwhal_plugin& plugin, const narwhal_option& option) {
  static constexpr std::string_view types[] = {"string", "int", "float", "bool"};
  const std::string name = std::string("its option '") + option.key + "'",
                    type = option.type == nullptr ? "" : option.type;
  if (std::find(std::begin(types), std::end(types), type) == std::end(types))
    return name + " has the type '" + type + "': string, int, float or bool";
  if (option.fallback != nullptr && !is_of_type(option.fallback, type))
    return name + " has the fallback '" + option.fallback + "', which is not of its type " + type;
  if (option.fallback != nullptr && (option.flags & NARWHAL_REQUIRED) != 0)
    return name + " is required and has the fallback '" + option.fallback + "': it can have one of the two";
  if (const std::uint64_t unknown = unknown_flags(plugin, option.flags, NARWHAL_REQUIRED); unknown != 0)
    return name + " has " + flags_text(unknown);
  return find_option(plugin, option.key) != &option ? name + " is declared twice" : "";
}

inline std::string fault_of_table(narwhal_plugin& plugin) {
  if (plugin.handle == nullptr) return "it has no handle()";
  if (plugin.name == nullptr || *plugin.name == '\0') return "it has no name: set narwhal_plugin.name";
  constexpr std::uint32_t known = NARWHAL_INLINE | NARWHAL_STREAM_BODY;
  if (const std::uint64_t unknown = unknown_flags(plugin, plugin.flags, known); unknown != 0)
    return "it sets " + flags_text(unknown);
  plugin.flags &= known;
  for (const narwhal_option* each = plugin.options; each != nullptr && each->key != nullptr; ++each) {
    if (const std::string fault = fault_of_option(plugin, *each); !fault.empty()) return fault;
  }
  return "";
}

// Copies what this host knows of the table.
inline std::string take_table(Site& site, const narwhal_plugin& table) {
  constexpr std::size_t smallest = offsetof(narwhal_plugin, handle) + sizeof(narwhal_plugin::handle), largest = 4096;
  std::string fault;
  if (table.struct_size < smallest || table.struct_size > largest) {
    fault =
        "its narwhal_plugin_v1 is too small (" + std::to_string(table.struct_size) + " bytes): was struct_size set?";
    if (table.struct_size > largest)
      fault = "its struct_size is " + std::to_string(table.struct_size) + ": was it set?";
  } else {
    std::memcpy(&site.plugin, &table, std::min(table.struct_size, sizeof site.plugin));
    if (site.plugin.name != nullptr && *site.plugin.name != '\0') site.name = site.plugin.name;
    fault = fault_of_table(site.plugin);
  }
  if (site.source.empty()) site.source = site.name;
  if (fault.empty()) return "";
  site.breach("cannot be loaded: " + fault);
  return "load " + site.source + ": " + fault;
}

// ---- the options of the test ----

inline const char* form_of(std::string_view type) {
  if (type == "int") return "a whole number";
  return type == "bool" ? "true or false" : "a number, such as 0.5";
}

inline std::string check_options(const Site& site) {
  std::string known;
  for (const narwhal_option* each = site.plugin.options; each != nullptr && each->key != nullptr; ++each) {
    known += (known.empty() ? "it knows " : ", ") + std::string(each->key);
  }
  if (known.empty()) known = "it has none";
  for (const auto& [key, value] : site.settings.options) {
    const narwhal_option* const option = find_option(site.plugin, key);
    if (option == nullptr) return "options of " + site.source + ": unknown option '" + key + "': " + known;
    if (!is_of_type(value, option->type))
      return "options of " + site.source + ": " + key + ": '" + value + "' is not of type " + option->type + ": " +
             form_of(option->type);
  }
  for (const narwhal_option* each = site.plugin.options; each != nullptr && each->key != nullptr; ++each) {
    if ((each->flags & NARWHAL_REQUIRED) == 0 || site.settings.options.count(each->key) != 0) continue;
    const std::string help = each->help != nullptr && *each->help != '\0' ? std::string(": ") + each->help : "";
    return "options of " + site.source + ": '" + each->key + "' is missing" + help;
  }
  return "";
}

// ---- narwhal_boot ----

// Kept until the worker ends, so that late use of the narwhal_boot is found.
struct BootCall {
  std::shared_ptr<Site> site;
  const char* hook;
  std::thread::id thread = std::this_thread::get_id();
  std::atomic<bool> over{false};
  std::string misuse{}, reason{};
  narwhal_boot boot{};

  // Reports a call that comes too late, or on another thread.
  void check(const char* call) {
    if (over) site->breach(std::string("called ") + call + "() of narwhal_boot after " + hook + "() had returned");
    if (!over && thread != std::this_thread::get_id())
      site->breach(std::string("called ") + call + "() of narwhal_boot on another thread than " + hook + "()");
  }
};
inline BootCall& boot_call(const narwhal_boot* boot) { return *static_cast<BootCall*>(boot->reserved_0); }

inline narwhal_bytes boot_option(const narwhal_boot* boot, const char* key) noexcept {
  BootCall& call = boot_call(boot);
  call.check("option");
  const std::string name = key == nullptr ? "" : key;
  const narwhal_option* const option = find_option(call.site->plugin, name);
  if (option == nullptr) {
    call.site->breach("asked for the option '" + name + "', which is not in its list: it can never have a value");
    return {nullptr, 0};
  }
  const auto set = call.site->settings.options.find(name);
  const bool is_set = set != call.site->settings.options.end();
  if (!is_set && option->fallback == nullptr) return {nullptr, 0};
  const std::string_view text = is_set ? std::string_view(set->second) : option->fallback;
  // A plugin gets a bool in one form, whichever word was written.
  if (std::strcmp(option->type, "bool") == 0) return bytes_of(parse_bool(text) == true ? "true" : "false");
  return bytes_of(text);
}
inline void boot_fail(const narwhal_boot* boot, narwhal_bytes reason) noexcept {
  boot_call(boot).check("fail");
  if (!boot_call(boot).over) boot_call(boot).reason = view_of(reason);
}
inline void boot_set_flags(const narwhal_boot* boot, std::uint32_t flags) noexcept {
  BootCall& call = boot_call(boot);
  call.check("set_flags");
  if (std::strcmp(call.hook, "worker_init") != 0 || call.over) {
    call.misuse = "set_flags() was called, which only worker_init may do";
  } else if ((flags & ~(NARWHAL_INLINE | NARWHAL_STREAM_BODY)) != 0) {
    call.misuse = "set_flags() with a flag that this server does not know";
  } else {
    call.site->plugin.flags = flags;
    return;
  }
  call.site->breach("in " + std::string(call.hook) + "(): " + call.misuse);
}

inline std::unique_ptr<BootCall> make_boot_call(const std::shared_ptr<Site>& site, const char* hook, bool in_template) {
  auto call = std::make_unique<BootCall>();
  call->site = site;
  call->hook = hook;
  narwhal_boot& boot = call->boot;
  boot.struct_size = sizeof boot;
  boot.host = site->host;
  boot.prefix = bytes_of(site->settings.prefix);
  boot.worker = in_template ? -1 : site->settings.worker;
  boot.threads = site->settings.threads;
  boot.generation = site->settings.generation;
  boot.workers = site->settings.workers;
  boot.reserved_0 = call.get();
  boot.option = boot_option;
  boot.fail = boot_fail;
  boot.set_flags = boot_set_flags;
  return call;
}

// The hooks of one worker's set-up.
class SetUp {
 public:
  explicit SetUp(std::shared_ptr<Site> site) : site_(std::move(site)) {}

  std::string preload() {
    if (site_->plugin.preload == nullptr) return "";
    const std::size_t threads = count_threads();
    std::string error = run("preload", true,
                            [this](const narwhal_boot* boot) { return site_->plugin.preload(boot, &site_->instance); });
    if (error.empty() && site_->plugin.before_fork == nullptr && count_threads() > threads) {
      site_->breach("left a thread running in preload(): it would not exist in the workers: start it in worker_init()");
      error =
          "preload of " + site_->source + ": it started a thread while it was loaded; threads belong in worker_init";
    }
    return error;
  }
  std::string worker_init() {
    if (site_->plugin.worker_init == nullptr) return "";
    return run("worker_init", false,
               [this](const narwhal_boot* boot) { return site_->plugin.worker_init(boot, &site_->instance); });
  }
  std::string ready_check() {
    if (site_->plugin.ready_check == nullptr) return "";
    return run("ready_check", false,
               [this](const narwhal_boot* boot) { return site_->plugin.ready_check(boot, site_->instance); });
  }

 private:
  template <class Hook>
  std::string run(const char* hook, bool in_template, Hook call_hook) {
    calls_.push_back(make_boot_call(site_, hook, in_template));
    BootCall& call = *calls_.back();
    const int code = guarded(site_, std::string(hook) + "()", NARWHAL_ERROR, [&] { return call_hook(&call.boot); });
    call.over = true;
    const std::string where = std::string(hook) + " of " + site_->source + ": ";
    if (!call.misuse.empty()) return where + call.misuse;
    if (code == NARWHAL_OK) return "";
    return where + (call.reason.empty() ? "the plugin gave no reason" : call.reason);
  }

  std::shared_ptr<Site> site_;
  std::vector<std::unique_ptr<BootCall>> calls_;
};

}  // namespace narwhal::testing::detail
