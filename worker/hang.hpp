// Hang: where the event loop is when it has hung, and the master therefore sends SIGABRT: which thread runs it, and in which
// hook of a plugin it is. A signal to a process is handled on any of its threads, so the handler passes it on.
// Threads  HookCall: the thread that runs the loop, and the main thread before its beginning and after its end: one hook at a
//          time, and none inside another. watch_loop(): the main thread, once. The rest: in a signal handler.
// Cost     none for a request, because the crew is looked at when the signal has come. A hook costs a few stores.
#pragma once

#include <signal.h>

#include <cstdint>

#include "core/scoreboard.hpp"
#include "worker/signal_line.hpp"

namespace narwhal::worker {

class Crew;
struct Mount;

// While it lives, the calling thread is in this hook.
class HookCall {
 public:
  HookCall(const char* hook, const Mount& mount) noexcept;    // "drain()"; a literal
  HookCall(const char* hook, const void* function) noexcept;  // "a timer"; of the plugin that has this function
  HookCall(const HookCall&) = delete;
  HookCall& operator=(const HookCall&) = delete;
  ~HookCall();
};

// Both outlive the process's last signal. The master compares the heartbeat of `slot`.
void watch_loop(const Crew& crew, const WorkerSlot& slot) noexcept;

// ---- in a signal handler ----

struct Hang {
  enum class Reporter : std::uint8_t {
    none,          // no hang, or the thread is unknown: the signal is like any other
    other_thread,  // the loop's thread has got the signal now, and logs it: this one goes on
    this_thread,   // it runs the loop
    substitute,    // the loop's thread takes no signals: this one logs what is known
  };
  Reporter reporter = Reporter::none;
  std::uint32_t thread = 0;          // gettid() of the loop's
  const Running* request = nullptr;  // whose handler keeps the loop; null: none does
};
// Of SIGABRT. Waits for the loop's thread, less than a second.
Hang find_hang(const siginfo_t& facts) noexcept;
// Of one that find_hang() has found: ": its event loop hung for 2 s in drain() of ./shop.so", or without a hook.
void add_hang(SignalLine& line) noexcept;
bool is_in_hook() noexcept;                // the calling thread
void add_hook(SignalLine& line) noexcept;  // " in drain() of ./shop.so", of whichever thread

}  // namespace narwhal::worker
