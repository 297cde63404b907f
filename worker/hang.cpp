#include "worker/hang.hpp"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "core/clock.hpp"
#include "worker/crew.hpp"
#include "worker/plugin.hpp"
#include "worker/stack_trace.hpp"

namespace narwhal::worker {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

// The hook that is being called. Plain values, and none on the stack of its thread: another thread may have to read them.
struct {
  std::atomic<bool> is_called{false};
  std::atomic<pthread_t> thread{};
  std::atomic<const char*> hook{""};
  std::atomic<const char*> source{nullptr};  // of its plugin; null: that of `function`
  std::atomic<const void*> function{nullptr};
} current;

void begin_hook(const char* hook, const char* source, const void* function) noexcept {
  current.thread.store(::pthread_self(), relaxed);
  current.hook.store(hook, relaxed);
  current.source.store(source, relaxed);
  current.function.store(function, relaxed);
  current.is_called.store(true, std::memory_order_release);
}

const Crew* the_crew = nullptr;
const WorkerSlot* the_slot = nullptr;

// Who logs the hang. The signal may come to several threads, and the loop's may come late.
enum class Asked : std::uint32_t { nobody, prepares, loop_thread, has_begun, substitute };
std::atomic<Asked> asked{Asked::nobody};
Hang passed_on;  // written while one thread prepares it, read by the loop's

std::uint32_t own_thread() noexcept { return static_cast<std::uint32_t>(::syscall(SYS_gettid)); }

bool advance(Asked from, Asked to) noexcept { return asked.compare_exchange_strong(from, to); }

bool hook_is_called() noexcept { return current.is_called.load(std::memory_order_acquire); }

// As the crew knows it.
Hang look_at_crew() noexcept {
  Hang hang;
  const auto holder = the_crew != nullptr ? the_crew->holder() : std::nullopt;
  if (!holder || holder->member >= WorkerSlot::threads_max) return hang;
  const Running& running = the_slot->running[holder->member];
  hang.thread = running.thread_id.load(relaxed);
  if (holder->in_handler && !hook_is_called()) hang.request = &running;
  return hang;
}

// Sends the signal to the loop's thread. False: that has not begun to handle it.
bool pass_on(const Hang& hang) noexcept {
  constexpr std::chrono::milliseconds pause{5}, most{500};  // the master sends SIGKILL after a second
  passed_on = hang;
  passed_on.reporter = Hang::Reporter::this_thread;
  asked.store(Asked::loop_thread);
  const Instant end = ::syscall(SYS_tgkill, ::getpid(), hang.thread, SIGABRT) == 0 ? now() + most : now();
  while (asked.load() == Asked::loop_thread && now() < end) std::this_thread::sleep_for(pause);
  return !advance(Asked::loop_thread, Asked::substitute);
}

// The end of the process finds what this thread was doing as it is. Not for ever, because it may have been interrupted with a
// lock that the stack needs, such as the loader's.
void wait_for_the_end() noexcept { std::this_thread::sleep_for(std::chrono::milliseconds{300}); }

}  // namespace

HookCall::HookCall(const char* hook, const Mount& mount) noexcept { begin_hook(hook, mount.source.c_str(), nullptr); }
HookCall::HookCall(const char* hook, const void* function) noexcept { begin_hook(hook, nullptr, function); }
HookCall::~HookCall() { current.is_called.store(false, std::memory_order_release); }

void watch_loop(const Crew& crew, const WorkerSlot& slot) noexcept {
  the_slot = &slot;
  the_crew = &crew;
}

// ---- in a signal handler ----

Hang find_hang(const siginfo_t& facts) noexcept {
  const Asked state = asked.load();
  const bool is_asked = state == Asked::loop_thread || state == Asked::substitute;
  if (is_asked && facts.si_code == SI_TKILL && passed_on.thread == own_thread()) {
    if (advance(Asked::loop_thread, Asked::has_begun)) return passed_on;
    return {.reporter = Hang::Reporter::other_thread};  // too late
  }
  if (facts.si_code != SI_USER || facts.si_pid != ::getppid()) return {};
  Hang hang = look_at_crew();
  if (hang.thread == 0) return {};
  if (hang.thread == own_thread()) {
    hang.reporter = Hang::Reporter::this_thread;
  } else if (advance(Asked::nobody, Asked::prepares)) {
    hang.reporter = pass_on(hang) ? Hang::Reporter::other_thread : Hang::Reporter::substitute;
    if (hang.reporter == Hang::Reporter::other_thread) wait_for_the_end();
  } else {
    return {};
  }
  return hang;
}

void add_hang(SignalLine& line) noexcept {
  line.add(": its event loop hung");
  const Instant last_turn = the_slot->heartbeat.load(relaxed), time = now();
  if (last_turn != unset && last_turn < time)
    line.add(" for ").add(static_cast<std::uint64_t>(seconds_of(time - last_turn))).add(" s");
  if (hook_is_called()) add_hook(line);
}

bool is_in_hook() noexcept {
  return hook_is_called() && ::pthread_equal(current.thread.load(relaxed), ::pthread_self()) != 0;
}

void add_hook(SignalLine& line) noexcept {
  const char* const source = current.source.load(relaxed);
  line.add(" in ").add(current.hook.load(relaxed)).add(" of ");
  line.add(source != nullptr ? std::string_view(source) : path_of_code(current.function.load(relaxed)));
}

}  // namespace narwhal::worker
