// Plugins as this process runs them: loaded once each, mounted under prefixes, never unloaded.
// Errors  loading and options: a Result whose text names the file and the step.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "core/seat.hpp"
#include "narwhal/plugin.h"

namespace narwhal::worker {

extern const narwhal_host host_table;  // host.cpp

// One plugin mounted under one prefix, with its options and its instance.
struct Mount {
  std::string prefix;
  std::string source;     // the plugin's path as configured, for the log
  narwhal_plugin plugin;  // as much of the plugin's own table as both sides know; the rest is zero
  Options options;
  std::string remark;  // what its operator may want to know when set-up fails
  void* instance = nullptr;
  bool preloaded = false;  // its preload() ran in the template
  std::uint16_t route = 0;

  // How long its handlers lately kept a thread without a word to the loop, each cut to slow_cut; the crew's hint. [baton]
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
// `about_to` hears what comes next, so that a hang or a crash can be named by whoever watches.
using AboutTo = void (*)(void* context, std::string_view step);
Result<std::vector<std::unique_ptr<Mount>>> load_plugins(const Generation& generation, AboutTo about_to, void* context);

// What a hook has come to; the text of an Error is the plugin's own reason where it gave one.
struct HookResult : Result<Done> {
  using Result<Done>::Result;
  int exit_code = exit_boot_failed;  // where it has failed: of the server, at its first boot
};
HookResult preload(Mount& mount, const BootInfo& info);
HookResult worker_init(Mount& mount, const BootInfo& info);
HookResult ready_check(Mount& mount, const BootInfo& info);

}  // namespace narwhal::worker
