#include "tools/crash_stack.hpp"

#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/write_all.hpp"

namespace narwhal::tools {

namespace {

constexpr int frames_max = 64;
constexpr int own_frames = 2;  // the handler's, and the one by which the kernel has called it
std::string plugin_path;

void put(std::string_view text) noexcept { static_cast<void>(write_all(STDERR_FILENO, text)); }

void put_hex(std::uintptr_t number) noexcept {
  char digits[2 * sizeof number];
  std::size_t at = sizeof digits;
  do {
    digits[--at] = "0123456789abcdef"[number % 16];
    number /= 16;
  } while (number != 0);
  put(" 0x");
  put({digits + at, sizeof digits - at});
}

void put_command(void* const* frames, int count) noexcept {
  bool has_begun = false;
  for (int index = own_frames; index < count; ++index) {
    Dl_info found{};
    if (::dladdr(frames[index], &found) == 0 || plugin_path != found.dli_fname) continue;
    if (!has_begun) {
      put("addr2line -Cfipe ");
      put(plugin_path);
    }
    has_begun = true;
    const auto place =
        reinterpret_cast<std::uintptr_t>(frames[index]) - reinterpret_cast<std::uintptr_t>(found.dli_fbase);
    put_hex(index == own_frames ? place : place - 1);  // a caller's is where it goes on, after the call
  }
  if (has_begun) put("\n");
}

void on_crash(int signal_number) {
  ::signal(signal_number, SIG_DFL);  // a fault in here must end the process too
  void* frames[frames_max];
  const int count = ::backtrace(frames, frames_max);
  if (count > own_frames) ::backtrace_symbols_fd(frames + own_frames, count - own_frames, STDERR_FILENO);
  put_command(frames, count);
  ::raise(signal_number);
}

}  // namespace

void show_stack_of_crash(const std::string& plugin) {
  plugin_path = plugin;
  void* loads_the_unwinder[1];
  ::backtrace(loads_the_unwinder, 1);
  struct sigaction action {};
  action.sa_flags = SA_NODEFER;
  action.sa_handler = on_crash;
  for (const int signal_number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    struct sigaction before {};
    ::sigaction(signal_number, nullptr, &before);
    if (before.sa_handler == SIG_DFL) ::sigaction(signal_number, &action, nullptr);
  }
}

}  // namespace narwhal::tools
