// Exchange: one request and its response; what a plugin holds as narwhal_exchange.
//
// Threads    The loop fills the request and owns everything until handle() is called. Then the response belongs to the
//            answering thread: the handler's, or for a deferred exchange whichever thread the plugin chose. Its bytes
//            go back to the loop through the Handover: taken from there at once, where the answering thread holds the
//            baton, or after Posts::post_marked().
// Life       from Loop's pool; back there when the handler has returned and the response has ended. Each member is
//            either memory that is kept for the next request, or is assigned a fresh value by reset().
// Errors     the codes of plugin.h; nothing throws across the ABI (host.cpp catches).
// Handles    A plugin holds the address together with the number of this use of the exchange. A call with the handle of an
//            earlier use finds nothing, so that it cannot reach the next request. The memory itself is never freed.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "narwhal/plugin.h"
#include "protocol/cgi_variables.hpp"
#include "protocol/http1_head.hpp"
#include "worker/arena.hpp"
#include "worker/body.hpp"
#include "worker/client_wait.hpp"
#include "worker/counters.hpp"
#include "worker/handler_times.hpp"
#include "worker/handover.hpp"
#include "worker/inbox.hpp"
#include "worker/plugin.hpp"
#include "worker/request_state.hpp"
#include "worker/response_writer.hpp"
#include "worker/task.hpp"
#include "worker/wire_answer.hpp"

namespace narwhal::worker {

class Loop;

// When bytes of a response leave: at once; before the loop turns again, with what follows them (`gather`: of this
// response, and they stay where they are until then); or as Loop::gathers_answers() says.
enum class Push : std::uint8_t { now, hold, gather, soon };

class Exchange : public Task, public RequestState {
 public:
  explicit Exchange(Loop& loop);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  protocol::Head head;
  Body body;  // whole; a streamed one comes through `inbox`
  Inbox inbox;
  ResponseWriter response;
  Handover handover;
  HandlerTimes times;
  ClientWait client_wait;  // of its handler
  Arena arena;
  // The handle of this use, and whose handler had this memory last. The next request finds it as it was left.
  struct Life {
    std::atomic<std::uintptr_t> handle;
    std::atomic<const Mount*> mount{nullptr};
  } life;

  Exchange* next = nullptr;         // in the pool, or in the list of those ready
  Exchange* next_posted = nullptr;  // in the queue of Posts
  std::atomic<bool> posted{false};  // it is there

  Loop& loop() noexcept { return loop_; }
  WireId wire() const noexcept { return {peer.wire, record_id}; }
  // What a web server has said of the request over FastCGI, SCGI or uwsgi. Made when it is needed; throws std::bad_alloc.
  protocol::CgiRequest& gateway();
  // The web server's prefix and that of the route are one to the plugin. [baton] Throws std::bad_alloc.
  void join_prefix(std::string_view outer);

  // ---- any thread ----
  const narwhal_request& request() const noexcept { return request_; }
  std::string_view client_address() const noexcept { return client.empty() ? peer.text() : client; }
  narwhal_bytes variable(std::string_view name);  // this and the next two: variables.cpp
  // What the access log shows for {name}e: what the plugin gave it, else the variable.
  narwhal_bytes logged_variable(std::string_view name);
  bool add_log_value(std::string_view name, std::string_view value) noexcept;  // copies; false: out of memory
  bool gone() const noexcept { return gone_.load(std::memory_order_acquire); }

  // ---- handles ----
  // The number of the use stands above the address. User space has addresses of at most 48 bits (x86-64, arm64, riscv64),
  // unless a program asks for longer ones.
  static_assert(sizeof(std::uintptr_t) == 8);
  static constexpr std::uintptr_t one_use = std::uintptr_t{1} << 48;
  narwhal_exchange* handle() noexcept {
    return reinterpret_cast<narwhal_exchange*>(life.handle.load(std::memory_order_relaxed));
  }
  // Null: of a use that has ended.
  static Exchange* find(const narwhal_exchange* handle) noexcept;
  // From now on the plugin may not use it.
  void end_use() noexcept {
    life.handle.store(life.handle.load(std::memory_order_relaxed) + one_use, std::memory_order_release);
  }
  // The mount whose handler had it last; null: none yet. Of any handle but a null one.
  static const Mount* last_mount(const narwhal_exchange* handle) noexcept;

  // ---- for the thread that runs the handler, with or without the baton ----
  void fill_request() noexcept;       // what request() returns; before run()
  int run(unsigned member) noexcept;  // calls the plugin

  // ---- for the loop [baton] ----
  void set_gone() noexcept;  // the client is gone: whoever waits goes on
  // Moves what the answering thread has handed over to `segments`, which are empty. Throws std::bad_alloc.
  Handover::Taken take_handover(std::vector<Segment>& segments);
  bool drop_handover() noexcept;  // the same for nobody; true: it has ended
  // The handler answered with one call and has returned: response.bytes() is all there is.
  bool simple() const noexcept { return returned && !deferred && !handed_over; }
  bool answer_ended() const noexcept { return ended || handover.ended(); }  // the loop may not have seen it yet
  void reset() noexcept;                                                    // the buffers have been given back

  // ---- for the answering thread ----
  bool on_handler_thread() const noexcept { return running_ == this; }
  // response.bytes() go to the loop. After Reached::end nothing of this exchange may be touched any more.
  void hand_over(Push push, Handover::Reached reached) noexcept;
  void end_response() noexcept;  // it is complete, or nobody wants it any more
  bool finds_room() noexcept;  // a writer may not wait: false, and its plugin's writable() is called when there is room
  void yield_to_loop();        // what a handler does often calls this: the loop turns when it is time
  void begin_wait() noexcept;  // for the client
  void end_wait() noexcept;

  // While it lives, this thread counts as the handler's: what it makes is not posted.
  class AsHandler {
   public:
    explicit AsHandler(Exchange& exchange) noexcept : outer_(running_) { running_ = &exchange; }
    AsHandler(const AsHandler&) = delete;
    AsHandler& operator=(const AsHandler&) = delete;
    ~AsHandler() { running_ = outer_; }

   private:
    Exchange* outer_;
  };

 private:
  narwhal_bytes gateway_variable(std::string_view name) const noexcept;

  static constinit thread_local Exchange* running_;  // whose handle() this thread is in, or does the work of

  Loop& loop_;
  narwhal_request request_{};
  std::unique_ptr<protocol::CgiRequest> gateway_;
  std::atomic<bool> gone_{false};
};

// For Counters.
inline std::size_t route_of(const Exchange& exchange) noexcept {
  return exchange.mount != nullptr ? exchange.mount->route : Counters::no_route;
}

inline const Exchange& exchange_of(const Task& task) noexcept { return static_cast<const Exchange&>(task); }
inline Exchange& exchange_of(Task& task) noexcept { return static_cast<Exchange&>(task); }
inline const Field* fields_of(const narwhal_field* fields) noexcept { return reinterpret_cast<const Field*>(fields); }

// ---- handles ----

// What the handle points at, in whatever use it is.
inline Exchange* exchange_at(const narwhal_exchange* handle) noexcept {
  return reinterpret_cast<Exchange*>(reinterpret_cast<std::uintptr_t>(handle) & (Exchange::one_use - 1));
}

inline Exchange* Exchange::find(const narwhal_exchange* handle) noexcept {
  Exchange* const exchange = exchange_at(handle);
  const auto value = reinterpret_cast<std::uintptr_t>(handle);
  return exchange != nullptr && exchange->life.handle.load(std::memory_order_acquire) == value ? exchange : nullptr;
}

inline const Mount* Exchange::last_mount(const narwhal_exchange* handle) noexcept {
  return exchange_at(handle)->life.mount.load(std::memory_order_relaxed);
}

}  // namespace narwhal::worker
