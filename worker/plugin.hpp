// Plugins as this process runs them: loaded once each, mounted under prefixes, never unloaded.
// Errors  loading and options: a Result whose text names the file and the step.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "core/seat.hpp"
#include "core/step.hpp"
#include "narwhal/plugin.h"

namespace narwhal::worker {

extern const narwhal_host host_table;  // host.cpp

// One plugin mounted under one prefix, with its options and its instance.
struct Mount {
  std::string prefix;
  std::vector<std::string> hosts;  // as in Route
  std::string source;              // the plugin's path as configured, for the log
  narwhal_plugin plugin;           // what both sides know of the plugin's own table; the rest is zero
  Options options;
  std::string remark;  // added to the reason when set-up fails
  void* instance = nullptr;
  bool preloaded = false;  // its preload() ran in the template
  bool is_python = false;  // an application of the WSGI plugin
  TrailingSlash trailing_slash = TrailingSlash::as_sent;
  std::uint16_t route = 0;
  std::chrono::nanoseconds timeout{0}, soft_timeout{0};  // of one request in its handler; 0: none

  // A moving average of how long its handlers kept a thread from the loop, each cut to slow_cut. [baton]
  static constexpr std::chrono::nanoseconds slow_cut = std::chrono::milliseconds{1};
  static constexpr std::chrono::nanoseconds slow = std::chrono::microseconds{250};
  std::chrono::nanoseconds usual{0};

  bool is_inline() const noexcept { return (plugin.flags & NARWHAL_INLINE) != 0; }
  bool streams_body() const noexcept { return (plugin.flags & NARWHAL_STREAM_BODY) != 0; }
};

struct BootInfo {
  std::int32_t worker = -1;
  std::uint32_t threads = 1;
  std::uint32_t workers = 1;
  std::uint64_t generation = 0;
};

// dlopen()s each plugin of the generation once and checks the options of each mount.
// `about_to` is called with each step before it begins, so that the master can name it when it hangs or crashes.
Result<std::vector<std::unique_ptr<Mount>>> load_plugins(const Generation& generation, const AboutTo& about_to);

// The result of a hook. The text of an Error is the plugin's own reason where it gave one.
struct HookResult : Result<Done> {
  using Result<Done>::Result;
  int exit_code = exit_boot_failed;  // of the server, where the hook has failed at the first boot
};
HookResult preload(Mount& mount, const BootInfo& info);
HookResult worker_init(Mount& mount, const BootInfo& info);
HookResult ready_check(Mount& mount, const BootInfo& info);

}  // namespace narwhal::worker
