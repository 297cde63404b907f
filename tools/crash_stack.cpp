#include "tools/crash_stack.hpp"

#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <filesystem>
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

bool is_in_plugin(void* frame, Dl_info& found) noexcept {
  return ::dladdr(frame, &found) != 0 && plugin_path == found.dli_fname;
}

void put_command(void* const* frames, int count) noexcept {
  bool has_begun = false;
  for (int index = own_frames; index < count; ++index) {
    Dl_info found{};
    if (!is_in_plugin(frames[index], found)) continue;
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

void put_stack(void* const* frames, int count) noexcept {
  if (count > own_frames) ::backtrace_symbols_fd(frames + own_frames, count - own_frames, STDERR_FILENO);
  put_command(frames, count);
}

void on_crash(int signal_number) {
  ::signal(signal_number, SIG_DFL);  // a fault in here must end the process too
  void* frames[frames_max];
  put_stack(frames, ::backtrace(frames, frames_max));
  ::raise(signal_number);
}

// ---- threads that hang ----

enum class Seen { nothing_yet, elsewhere, in_plugin };
std::atomic<Seen> seen;

int look_signal() noexcept { return SIGRTMIN + 3; }

// A thread of the plugin's own has no frame of this program below the plugin's.
bool was_called_into_plugin(void* const* frames, int count) noexcept {
  Dl_info own{};
  if (::dladdr(reinterpret_cast<void*>(&put_stack), &own) == 0) return false;
  bool has_plugin = false;
  for (int index = own_frames; index < count; ++index) {
    Dl_info found{};
    if (is_in_plugin(frames[index], found)) {
      has_plugin = true;
    } else if (has_plugin && found.dli_fbase == own.dli_fbase) {
      return true;
    }
  }
  return false;
}

void on_look(int) {
  const int saved_errno = errno;
  void* frames[frames_max];
  const int count = ::backtrace(frames, frames_max);
  const bool is_there = was_called_into_plugin(frames, count);
  if (is_there) put_stack(frames, count);
  seen = is_there ? Seen::in_plugin : Seen::elsewhere;
  errno = saved_errno;
}

// True: it is in the plugin.
bool look_at(pid_t thread) {
  constexpr int looks = 200;  // a thread that blocks the signal never answers
  seen = Seen::nothing_yet;
  if (::syscall(SYS_tgkill, ::getpid(), thread, look_signal()) != 0) return false;
  for (int i = 0; i < looks && seen == Seen::nothing_yet; ++i) ::usleep(1000);
  return seen == Seen::in_plugin;
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

bool show_stacks_in_plugin() {
  struct sigaction action {};
  action.sa_flags = SA_RESTART;
  action.sa_handler = on_look;
  ::sigaction(look_signal(), &action, nullptr);
  bool has_shown = false;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", error)) {
    const std::string name = task.path().filename().string();
    pid_t thread = 0;
    std::from_chars(name.data(), name.data() + name.size(), thread);
    if (thread != ::gettid() && look_at(thread)) has_shown = true;
  }
  return has_shown;
}

}  // namespace narwhal::tools
