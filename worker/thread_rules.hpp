// Whether a plugin calls on a thread that the tag of the function allows (narwhal/plugin.h, "Threads"). A call that does not is
// reported in the error log with the plugin, the call and the request, at most ten times a second; the worker goes on.
// Builds     flush(), left_at_once() and the functions of narwhal_boot are looked at in every build. "One thread at a time" is
//            checked with -Dchecked=true alone: there it costs two locks of a mutex for each such call.
// Threads    any.
#pragma once

#include "worker/exchange.hpp"

namespace narwhal::worker {

// "plugin './shop.so' has called flush() for GET /cart <rule>".
void report_thread(const Exchange& exchange, const char* call, const char* rule) noexcept;
// The same for a call without a request.
void report_thread(const char* plugin, const char* call, const char* rule) noexcept;

#ifdef _GLIBCXX_ASSERTIONS  // as -Dchecked=true sets it
inline constexpr bool checks_threads = true;
#else
inline constexpr bool checks_threads = false;
#endif

// Calls of which one thread at a time may be in one for an exchange.
enum class CallGroup { memory, reading };

// While it lives, the calling thread is alone in a group of calls. Another one that comes is reported, and waits: what both
// would use at once stays whole.
class OneAtATime {
 public:
  OneAtATime(const Exchange& exchange, CallGroup group, const char* call) noexcept
      : exchange_(exchange), group_(group) {
    if constexpr (checks_threads) enter(call);
  }
  OneAtATime(const OneAtATime&) = delete;
  OneAtATime& operator=(const OneAtATime&) = delete;
  ~OneAtATime() {
    if constexpr (checks_threads) leave();
  }

 private:
  void enter(const char* call) noexcept;
  void leave() noexcept;

  const Exchange& exchange_;
  const CallGroup group_;
};

}  // namespace narwhal::worker
