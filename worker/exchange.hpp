// Exchange: one request and its response; what a plugin holds as narwhal_exchange.
//
// Threads    The loop fills the request and owns everything until handle() is called. Then the response side
//            belongs to the answering thread: the handler's, or for a deferred exchange whichever thread the
//            plugin chose. Bytes go back to the loop either directly, when the answering thread still holds the
//            baton, or through handover_ and Loop::post().
// Life       from Loop's pool; back there when the handler has returned and the answer has ended.
// Errors     the codes of plugin.h; nothing throws across the ABI (host.cpp catches).
// Memory     where it runs out nothing of a part may be missing unseen: the answer is cut off, which its client sees as a
//            reset, or a 500 takes its place while nothing of it has left.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/clock.hpp"
#include "narwhal/plugin.h"
#include "protocol/http1_head.hpp"
#include "protocol/http1_response.hpp"
#include "worker/arena.hpp"
#include "worker/body.hpp"
#include "worker/buffers.hpp"
#include "worker/client_wait.hpp"
#include "worker/pace.hpp"
#include "worker/peer.hpp"
#include "worker/plugin.hpp"
#include "worker/task.hpp"

namespace narwhal::worker {

class Connection;
class Loop;

// A part of a response that is not in the exchange's own buffer: memory, or a range of a file.
struct Segment {
  const char* data = nullptr;  // null: `file`
  std::uint64_t size = 0;
  void (*release)(void*) = nullptr;
  void* release_arg = nullptr;
  int file = -1;  // owned
  std::int64_t offset = 0;
  bool counted = false;   // in the exchange's unsent bytes
  bool borrowed = false;  // `data` is the writer's: whoever keeps the segment beyond its call makes a copy
};
void discard(Segment& segment) noexcept;
// Makes the bytes of a borrowed one its own. Throws std::bad_alloc, and then has changed nothing.
void own(Segment& segment);

// Bytes that a plugin lends: it hears once when they are not needed any more.
class Loan {
 public:
  Loan() = default;
  Loan(void (*release)(void*), void* argument) noexcept : release_(release), argument_(argument) {}
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;
  ~Loan() {
    if (release_ != nullptr) release_(argument_);
  }
  explicit operator bool() const noexcept { return release_ != nullptr; }
  // From here on it is the segment that gives them back.
  Segment segment(std::string_view bytes) noexcept {
    return {.data = bytes.data(),
            .size = bytes.size(),
            .release = std::exchange(release_, nullptr),
            .release_arg = argument_};
  }
  void decline() noexcept { release_ = nullptr; }  // nothing was taken

 private:
  void (*release_)(void*) = nullptr;
  void* argument_ = nullptr;
};

// When bytes of an answer leave: at once; before the loop turns again, with what follows them (`gather`: of this answer,
// and they stay where they are until then); or as Loop::gathers_answers() says.
enum class Push : std::uint8_t { now, hold, gather, soon };

class Exchange : public Task {
 public:
  explicit Exchange(Loop& loop) : loop_(loop) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // ---- filled by the connection ----
  protocol::Head head;
  Body body;
  Buffer* in = nullptr;               // where the head lies; one reference
  const char* request_end = nullptr;  // behind the request's last byte in `in`, where all of it lies there
  Buffer* out = nullptr;              // where the response is written
  Connection* connection = nullptr;   // [baton] null: the client is gone, or was answered by the host
  Mount* mount = nullptr;             // null: answered by the host alone
  Exchange* next = nullptr;           // in the pool, or in the list of those ready
  Exchange* next_posted = nullptr;    // in Loop's queue
  Instant started = unset;            // head complete
  Instant handler_called = unset;     // when handle() was called
  Instant handler_returned = unset;   // when it returned, on a thread without the baton; else unset
  bool keep_alive = true;
  std::uint16_t refusal = 0;  // not 0: the host answers with this status, no handler sees it
  Peer peer;
  std::string_view client;         // as the proxies in front name it; empty: the peer is the client
  std::uint64_t body_arrived = 0;  // bytes since its head, and whether they come quickly enough
  Pace body_pace;
  ClientWait client_wait;  // of its handler

  // ---- where it stands [baton] ----
  bool returned = false;  // handle() has returned
  bool deferred = false;
  bool ended = false;      // the loop has seen the whole answer
  bool timed_out = false;  // the host answered in the handler's place
  bool queued = false;     // in the list of those ready
  bool handled = false;    // given to the crew
  bool retired = false;    // nobody needs it; it goes back when it is in no queue

  // ---- the host table's functions ----
  const narwhal_request& request() const noexcept { return request_; }
  std::string_view client_address() const noexcept { return client.empty() ? peer.text() : client; }
  narwhal_bytes variable(std::string_view name);  // variables.cpp
  int whole_body(narwhal_bytes& out_view);
  std::int64_t read_body(char* buffer, std::size_t size);
  int respond(const narwhal_response& response);
  int inform(int status, const narwhal_field* fields, std::uint32_t count);
  int start(const narwhal_response& response);
  int write(std::string_view bytes, bool may_wait, Loan loan = {});
  int send_file(int fd, std::int64_t offset, std::int64_t length);
  int trailers(const narwhal_field* fields, std::uint32_t count);
  int finish();
  int fail(int status, std::string_view reason);
  void flush();
  bool gone() const noexcept { return gone_.load(std::memory_order_acquire); }

  // ---- for the loop [baton] ----
  void set_gone();  // wakes whoever waits
  // What request() shows: before another thread may come to look at what this one is at.
  void fill_request();
  int run(unsigned member) noexcept;  // calls the plugin
  // The handler came back without having ended its answer: 500, or a visible cut.
  void end_for_handler(int result) noexcept;
  // A short plain answer by the host itself, in the place of a handler's.
  void answer_refusal();
  // Moves what the answering thread has handed over to `segments`, which are empty. Throws std::bad_alloc.
  struct Taken {
    bool begun;  // the answer's head is or was among it: interim answers do not count
    bool ended;
  };
  Taken take_handover(std::vector<Segment>& segments);
  bool drop_handover() noexcept;  // the same for nobody; true: it has ended
  // The handler answered with one call and has returned: out and segments() are all there is.
  bool simple() const noexcept { return returned && !deferred && !handed_over_; }
  std::vector<Segment>& segments() noexcept { return segments_; }
  bool finished_in_handler() const noexcept { return finished_in_handler_; }
  bool answer_ended();                                   // by the plugin, whether or not the loop has seen it yet
  void sent(std::uint64_t bytes);                        // of this exchange's, handed to the kernel
  void expect_body() noexcept { inbox_ended_ = false; }  // streamed bodies; before handle() is called
  void feed_body(std::string_view bytes);
  void end_body();
  bool body_full();  // the handler reads too slowly: stop reading the socket
  void reset() noexcept;

  int status() const noexcept { return status_; }
  // The longest time its handler went without a word to the loop. `end`: when it returned.
  std::chrono::nanoseconds longest_stretch(Instant end) const noexcept {
    return std::max(longest_stretch_, end - std::max(handler_called, spoke_));
  }
  std::uint64_t body_sent() const noexcept { return body_sent_; }
  bool truncated() const noexcept { return cut_; }
  // What the response's fields were, for the access log; valid until reset().
  std::string_view response_head() const noexcept { return response_head_; }

  Arena arena;
  void* user = nullptr;
  std::atomic<bool> posted{false};  // in Loop's queue
  bool gathered = false;            // [baton] parts of its answer wait for more

 private:
  friend class Loop;
  enum class Answer : std::uint8_t { none, started, finished };

  int begin_answer(const narwhal_response& response, std::int64_t body_size);
  int respond_with(const narwhal_response& response, Loan& loan);
  int respond_without_memory() noexcept;
  void drop_unsent() noexcept;
  void cut_off() noexcept;
  bool frame_otherwise(int status, const Field* fields, std::size_t count, std::int64_t body_size);
  int refuse(const protocol::Fault& fault) const;
  bool takes_trailers() const noexcept;
  bool body_still_coming();  // of a streamed one
  void took(std::uint64_t body_bytes) noexcept;
  int append(std::string_view bytes);
  void append_body(std::string_view bytes, Loan& loan);
  void append_part(std::string_view bytes, Loan& loan);
  void append_end();
  Push push_of_part(std::size_t bytes, bool lent) noexcept;
  void append_literal(std::string_view text);
  void append_segment(Segment segment);  // takes it over, also when it throws
  bool reserve(std::size_t bytes);       // room in out
  // What is in out and segments_ goes to the loop. After the end nothing of this exchange may be touched any more.
  enum class Last : bool { no, yes };
  void hand_over(Push push, Last last) noexcept;
  void make_room_in_handover();      // locked
  void move_to_handover() noexcept;  // locked, with room there
  void end_answer();
  bool on_handler_thread() const noexcept;
  int wait_for_room(bool may_wait);
  void wait_for_body();
  void speak(Instant now) noexcept;
  void come_by();
  void ask_for_more_body();
  std::size_t read_straight(char* buffer, std::size_t size);
  void begin_wait() noexcept;  // for the client
  void end_wait() noexcept;
  std::size_t low_water() const noexcept;

  static constinit thread_local Exchange* running_;  // whose handle() this thread is in, or does the work of

  Loop& loop_;
  narwhal_request request_{};
  Answer answer_ = Answer::none;
  bool bodyless_ = false;     // HEAD, 204, 205, 304: what is written is dropped
  bool handed_over_ = false;  // some of the answer went to the loop before its end
  bool finished_in_handler_ = false;
  bool cut_ = false;  // the response is not what was promised: the connection must be closed
  protocol::ResponseHead::Length framing_ = protocol::ResponseHead::Length::known;
  int status_ = 0;
  std::uint64_t left_ = 0;  // of a declared length
  std::uint64_t body_sent_ = 0;
  Instant spoke_ = unset;                        // when its handler last had the loop
  std::chrono::nanoseconds longest_stretch_{0};  // that it did not have it, before that
  Instant pushed_ = unset;                       // when parts of its body last left at once
  std::string_view response_head_;
  std::string trailers_;           // the lines that follow the last chunk
  std::vector<Segment> segments_;  // after out, written by the answering thread

  std::atomic<bool> gone_{false};

  std::atomic<std::uint64_t> unsent_{0};
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<Segment> handover_;
  bool handover_ended_ = false, head_handed_over_ = false;
  std::string inbox_;  // of a streamed body
  std::size_t inbox_read_ = 0;
  bool inbox_ended_ = true, inbox_full_ = false;
};

inline Exchange& exchange_of(const narwhal_exchange* handle) noexcept {
  return *reinterpret_cast<Exchange*>(const_cast<narwhal_exchange*>(handle));
}
inline const Exchange& exchange_of(const Task& task) noexcept { return static_cast<const Exchange&>(task); }
inline Exchange& exchange_of(Task& task) noexcept { return static_cast<Exchange&>(task); }
inline const Field* fields_of(const narwhal_field* fields) noexcept { return reinterpret_cast<const Field*>(fields); }
inline narwhal_exchange* handle_of(Exchange& exchange) noexcept {
  return reinterpret_cast<narwhal_exchange*>(&exchange);
}

}  // namespace narwhal::worker
