// Exchange: one request under test and its answer; and the handles by which the plugin names it. What becomes of a
// handle after the end of its exchange: it is never used again, so that a late call is recognised for certain.
// Ownership  shared by the worker, the Client and the calls that are running.
// Threads    `mutex` guards what is below it.
// Errors     std::bad_alloc.
#pragma once

#include <narwhal/testing/memory.hpp>
#include <narwhal/testing/site.hpp>
#include <narwhal/testing/wire.hpp>

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <thread>
#include <unordered_set>

namespace narwhal::testing::detail {

using Clock = std::chrono::steady_clock;

// Bytes that the plugin has lent, and what they were.
struct LentPart {
  narwhal_bytes bytes{};
  std::string copy{};
  void (*release)(void*) = nullptr;
  void* release_arg = nullptr;
  const char* call = "";
  Clock::time_point since{};
  bool is_checked = false;
};

enum class Stage : std::uint8_t { none, started, finished };

class Exchange {
 public:
  Exchange(std::shared_ptr<Site> of, ClientRequest sent) : site(std::move(of)), asked(std::move(sent)) {
    constexpr std::size_t target_shown = 200;
    name = asked.method + " " + asked.target.substr(0, target_shown);
    is_head = asked.method == "HEAD";
    is_http_1_0 = asked.protocol == "HTTP/1.0";
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // "called CALL() for GET /: WHY"
  void breach(const std::string& call, const std::string& why) const {
    site->breach("called " + call + "() for " + name + ": " + why);
  }
  void log(std::int32_t level, const std::string& text) const { site->log(level, name + ": " + text); }
  bool on_handler_thread() const { return in_handler && handler == std::this_thread::get_id(); }
  // What the next call that needs memory gets.
  bool memory_is_out() {
    if (memory_used >= asked.memory_calls) return true;
    ++memory_used;
    return false;
  }

  const std::shared_ptr<Site> site;
  const ClientRequest asked;
  std::string name;
  narwhal_exchange* handle = nullptr;
  bool is_head = false, is_http_1_0 = false;

  // The call that reads the body, in which one thread at a time may be; else null.
  std::atomic<const char*> reading{nullptr};

  std::mutex mutex;
  std::condition_variable changed;

  // ---- the request ----
  ExchangeMemory memory;
  narwhal_request* request = nullptr;
  narwhal_bytes body{};  // in `memory`; what has arrived of it is `arrived`
  std::string arrived;   // of a streamed body
  std::size_t body_read = 0;
  bool body_ended = true;
  int body_file = -1;
  void* user = nullptr;
  std::size_t memory_used = 0;

  // ---- where it is ----
  bool in_handler = false, returned = false, deferred = false;
  std::thread::id handler;
  Clock::time_point late_from = Clock::time_point::max();  // by Settings::timeout
  bool use_ended = false;                                  // the plugin may not use it any more
  bool ended = false;                                      // the answer has ended
  bool ended_in_handler = false;  // on the thread of handle(), so that it may be used until that returns
  bool shown = false;             // the client may see what there is of the answer: else when handle() has returned
  bool flushed_after_end = false;
  bool gone = false, cancel_due = false;
  bool takes_bytes = true;  // the client reads what comes
  bool room_asked = false;  // a call has got NARWHAL_AGAIN
  std::size_t writes = 0, bytes_taken = 0;

  // ---- the answer ----
  Stage stage = Stage::none;
  bool bodyless = false, keep_alive = true;
  Framing framing;
  std::uint64_t left = 0;  // of a declared length
  Answer answer;           // the plugin's
  Answer host_answer;      // with timed_out: the host's in its place
  std::vector<LentPart> lent;
  const char* body_at = nullptr;  // where the bytes of a respond() lay: for tests of what copies
};

using Lock = std::unique_lock<std::mutex>;

// Every handle that there has been. An entry costs some 200 bytes, and is kept for the life of the process.
class Handles {
 public:
  struct Entry {
    std::weak_ptr<Exchange> exchange;
    std::shared_ptr<Site> site;
    std::string name;
  };
  static narwhal_exchange* add(const std::shared_ptr<Exchange>& exchange) {
    auto* const entry = new Entry{exchange, exchange->site, exchange->name};
    const std::lock_guard lock(all().mutex_);
    all().entries_.insert(entry);
    return reinterpret_cast<narwhal_exchange*>(entry);
  }
  // Null: it never was one.
  static const Entry* find(const narwhal_exchange* handle) {
    const std::lock_guard lock(all().mutex_);
    const auto found = all().entries_.find(reinterpret_cast<const Entry*>(handle));
    return found != all().entries_.end() ? *found : nullptr;
  }

 private:
  static Handles& all() {
    static auto& handles = *new Handles;
    return handles;
  }
  std::mutex mutex_;
  std::unordered_set<const Entry*> entries_;
};

// Which exchange this thread is in cancel() of.
inline const Exchange*& cancelled_by_thread() {
  static thread_local const Exchange* exchange = nullptr;
  return exchange;
}

// ---- the end ----

// Lent bytes must be as they were until their release.
inline void check_lent(const Exchange& exchange, std::vector<LentPart>& parts) {
  for (LentPart& part : parts) {
    if (std::exchange(part.is_checked, true)) continue;
    if (part.copy != view_of(part.bytes)) {
      exchange.breach(part.call, "the bytes were changed before release() was called: they are the host's until then");
    }
  }
}

// Gives lent bytes back, those from before `until`; `lock` is open meanwhile.
inline void release_lent(Exchange& exchange, Lock& lock, Clock::time_point until = Clock::time_point::max()) {
  if (exchange.lent.empty() || (!exchange.takes_bytes && !exchange.gone && until != Clock::time_point::max())) return;
  std::vector<LentPart> due;
  for (auto part = exchange.lent.begin(); part != exchange.lent.end();) {
    if (part->since >= until) {
      ++part;
      continue;
    }
    due.push_back(std::move(*part));
    part = exchange.lent.erase(part);
  }
  check_lent(exchange, due);
  lock.unlock();
  for (const LentPart& part : due) {
    guarded_hook(exchange.site, std::string("the release() of ") + part.call + "()",
                 [&] { part.release(part.release_arg); });
  }
  lock.lock();
}

// From now on the plugin may not use it: its memory is checked and overwritten.
inline void end_use(Exchange& exchange) {
  if (std::exchange(exchange.use_ended, true)) return;
  check_lent(exchange, exchange.lent);
  if (const auto size = exchange.memory.damaged()) {
    exchange.breach("alloc", "wrote outside of the " + std::to_string(*size) + " bytes that it got");
  }
  exchange.memory.retire();
  if (exchange.body_file >= 0) ::close(std::exchange(exchange.body_file, -1));
}

// The worker is about to forget it.
inline void check_after_end(Exchange& exchange) {
  const Lock lock(exchange.mutex);
  if (exchange.use_ended && exchange.memory.written_after_end()) {
    exchange.site->breach("wrote to memory of " + exchange.name + " after that request had ended: copy what is needed");
  }
}

inline void keep_ended(const std::shared_ptr<Exchange>& exchange) {
  constexpr std::size_t kept_max = 64;
  std::shared_ptr<Exchange> forgotten;
  {
    const std::lock_guard lock(exchange->site->mutex);
    auto& ended = exchange->site->ended;
    ended.push_back(exchange);
    if (ended.size() > kept_max) {
      forgotten = std::move(ended.front());
      ended.erase(ended.begin());
    }
  }
  if (forgotten != nullptr) check_after_end(*forgotten);
}

// The answer is complete, or nobody wants it any more.
inline void end_answer(Exchange& exchange, Lock& lock) {
  exchange.ended = true;
  if (exchange.on_handler_thread()) {
    exchange.ended_in_handler = true;
  } else {
    exchange.shown = true;
    release_lent(exchange, lock);
    end_use(exchange);
  }
  exchange.changed.notify_all();
}

}  // namespace narwhal::testing::detail
