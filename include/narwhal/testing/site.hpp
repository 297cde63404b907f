// Site: what all requests of one worker under test share; and how calls of the plugin find it.
// Ownership  shared by the worker, its exchanges and its handles.
// Threads    any, but for what says otherwise.
// Errors     std::bad_alloc.
#pragma once

#include <narwhal/testing/breaches.hpp>
#include <narwhal/testing/values.hpp>

#include <cxxabi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

struct narwhal_timer;

namespace narwhal::testing::detail {

class Exchange;

struct Site {
  Settings settings;
  narwhal_plugin plugin{};       // a copy, as the server keeps one; its flags are those of set_flags()
  std::string name = "unnamed";  // what breaches call it
  std::string source = "";       // what the server's lines call it
  void* instance = nullptr;
  const narwhal_host* host = nullptr;  // valid for the life of the process
  Breaches breaches;
  std::atomic<bool> draining{false};
  std::atomic<bool> is_set_up{false};
  std::atomic<bool> is_exiting{false};  // worker_exit() is running
  std::atomic<unsigned> replacements{0};

  void breach(const std::string& what) { breaches.add("plugin '" + name + "' " + what); }
  bool is_inline() const noexcept { return (plugin.flags & NARWHAL_INLINE) != 0; }
  bool streams_body() const noexcept { return (plugin.flags & NARWHAL_STREAM_BODY) != 0; }

  void log(std::int32_t level, std::string line) { log({level, std::move(line)}); }
  void log(LogLine line) {
    const std::lock_guard lock(mutex);
    lines.push_back(std::move(line));
  }

  std::mutex mutex;  // guards everything below
  std::vector<LogLine> lines;
  std::vector<std::string> watched;
  std::vector<std::shared_ptr<Exchange>> ended;  // the last ones, so that use of their memory is found
  struct Posted {
    void (*run)(void*);
    void* argument;
  };
  std::vector<Posted> posted;  // to the event loop
  std::vector<narwhal_timer*> timers;
  std::chrono::milliseconds time_passed{0};  // of the timers
};

// log(), watch() and a few others do not say for whom they are. They are for the worker in whose function this thread
// is; a thread of the plugin's own is taken to be of the newest worker.
struct Sites {
  std::mutex mutex;
  std::vector<std::shared_ptr<Site>> open;
  std::vector<std::shared_ptr<Site>> with_timers;  // for ever: a plugin may stop a timer after its worker has ended
};
inline Sites& sites() {
  static auto& all = *new Sites;
  return all;
}
inline std::shared_ptr<Site>& site_of_thread() {
  static thread_local std::shared_ptr<Site> site;
  return site;
}
inline std::shared_ptr<Site> current_site() {
  if (site_of_thread() != nullptr) return site_of_thread();
  const std::lock_guard lock(sites().mutex);
  return sites().open.empty() ? nullptr : sites().open.back();
}

// The function of a plugin that a thread is in.
struct PluginCall {
  const Site* site;
  const std::string* where;  // "handle() for GET /"
  pid_t process;
};
// Null: in none. A plain pointer, because exit() destroys what has a destructor before it calls say_who_exits().
inline const PluginCall*& call_of_thread() {
  static thread_local const PluginCall* call = nullptr;
  return call;
}

// The program must not end as if its tests had passed.
[[noreturn]] inline void end_for_exit(const std::string& name, const std::string& where) {
  std::fprintf(stderr,
               "narwhal/testing: plugin '%s' called exit() in %s: it would end the worker with all its requests. Return"
               " an error or throw\n",
               name.c_str(), where.c_str());
  std::abort();
}
inline void say_who_exits() {
  const PluginCall* const call = call_of_thread();
  // A child that the plugin has forked may end so.
  if (call != nullptr && call->process == ::getpid()) end_for_exit(call->site->name, *call->where);
  // The test program itself ends on its main thread.
  if (::syscall(SYS_gettid) == ::getpid()) return;
  const std::unique_lock lock(sites().mutex, std::try_to_lock);
  if (lock && !sites().open.empty()) end_for_exit(sites().open.back()->name, "a thread of its own");
}

// While it lives, this thread is in a function of that plugin. `where` outlives it.
class InPlugin {
 public:
  InPlugin(std::shared_ptr<Site> site, const std::string& where)
      : call_{site.get(), &where, ::getpid()},
        outer_call_(std::exchange(call_of_thread(), &call_)),
        outer_(std::exchange(site_of_thread(), std::move(site))) {
    [[maybe_unused]] static const int once = std::atexit(say_who_exits) + std::at_quick_exit(say_who_exits);
  }
  InPlugin(const InPlugin&) = delete;
  InPlugin& operator=(const InPlugin&) = delete;
  ~InPlugin() {
    call_of_thread() = outer_call_;
    site_of_thread() = std::move(outer_);
  }

 private:
  const PluginCall call_;
  const PluginCall* const outer_call_;
  std::shared_ptr<Site> outer_;
};

// Calls a function of the plugin. An exception that leaves it is a breach: the server would crash.
template <class Result, class Call>
Result guarded(const std::shared_ptr<Site>& site, const std::string& where, Result otherwise, Call call) {
  const InPlugin inside(site, where);
  const auto threw = [&](const std::string& what) {
    site->breach("let an exception leave " + where + ": " + what + ": catch it; the server would crash");
    return otherwise;
  };
  try {
    return call();
  } catch (const std::exception& error) {
    return threw(error.what());
#ifdef __GLIBCXX__
  } catch (const abi::__forced_unwind&) {  // pthread_exit()
    site->breach("ended the thread inside " + where + ": it is the server's");
    throw;
#endif
  } catch (...) {
    return threw("an exception that is not a std::exception");
  }
}
template <class Call>
void guarded_hook(const std::shared_ptr<Site>& site, const std::string& where, Call call) {
  guarded(site, where, 0, [&] { return call(), 0; });
}

// The end of the program is a harsh answer to a busy machine: it comes late.
inline std::chrono::milliseconds& shortest_hang_limit() {
  static std::chrono::milliseconds limit{10'000};
  return limit;
}
inline std::chrono::milliseconds hang_limit(const Site& site) {
  return std::max(shortest_hang_limit(), site.settings.patience);
}

// Ends the program when a function on the event loop does not return: the test's own thread is in it.
class LoopLimit {
 public:
  LoopLimit(const Site& site, const std::string& where) : thread_([this, &site, &where] { watch(site, where); }) {}
  LoopLimit(const LoopLimit&) = delete;
  LoopLimit& operator=(const LoopLimit&) = delete;
  ~LoopLimit() {
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

 private:
  void watch(const Site& site, const std::string& where) {
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, hang_limit(site), [this] { return is_over_; })) return;
    std::fprintf(stderr,
                 "narwhal/testing: plugin '%s' hangs in %s, on the event loop: under the server all requests of the"
                 " worker would hang\n",
                 site.name.c_str(), where.c_str());
    std::abort();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_over_ = false;
  std::thread thread_;
};

// [loop]
template <class Call>
void loop_hook(const std::shared_ptr<Site>& site, const std::string& where, Call call) {
  const LoopLimit limit(*site, where);
  guarded_hook(site, where, call);
}

}  // namespace narwhal::testing::detail
