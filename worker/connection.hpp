// Connection: one client's socket, and where its conversation stands. Idle, it holds no buffer and no parser.
// Threads    whoever holds the baton.
// Life       made by the acceptor, frees itself when libuv has closed the handle.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>
#include <new>
#include <string_view>
#include <vector>

#include "protocol/http1_chunks.hpp"
#include "worker/buffers.hpp"
#include "worker/exchange.hpp"
#include "worker/pace.hpp"
#include "worker/peer.hpp"
#include "worker/relay.hpp"
#include "worker/wheel.hpp"

namespace narwhal::worker {

class Connection : public WheelEntry {
 public:
  Connection(Loop& loop, Peer peer) noexcept : loop_(loop), peer_(peer) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Takes the descriptor over, whatever happens. False: it was closed, and this object goes away by itself.
  bool open(int fd);
  void expect_proxy_header() noexcept { proxy_header_due_ = true; }  // before the first request
  // Goes on with what a sibling has read and not answered; takes the buffer over.
  void continue_with(Buffer* bytes) noexcept;
  // The request in hand waits for a handler: gives it away, with the socket. False: it stays.
  bool give_to_sibling(const Relay& relay);
  // The loop is being retired: idle connections get until `grace` from now to say something.
  void retire(std::chrono::milliseconds grace);
  void close();             // now; an answer in the making is dropped
  void expired() noexcept;  // the wheel's hand has come to it

  void read_now() noexcept;  // its turn has come: see Dispatcher::add_readable()
  // The answer of the exchange in hand has bytes, or has ended.
  void take_answer(Exchange& exchange, Push push) noexcept;
  void take_part(Exchange& exchange, Push push) noexcept;  // the same, of one that goes on
  // The handler of the exchange in hand is past its deadline: answer 504 without it.
  void answer_for(Exchange& exchange, int status, std::string_view text) noexcept;
  void resume_body() noexcept;  // the handler has made room
  // For a handler that has read all that was fed to it: more of a body of known length. 0: nothing is there, or something
  // that the loop has to see.
  std::size_t read_body_into(char* buffer, std::size_t size) noexcept;

  const Peer& peer() const noexcept { return peer_; }
  bool end_seen() const noexcept { return end_seen_; }
  bool answering() const noexcept { return answering_; }
  void flush_held() noexcept;  // what was held back
  bool idle() const noexcept {
    return exchange_ == nullptr && in_ == nullptr && out_ == nullptr && sending_ == nullptr;
  }
  void watch();  // what open() has put off
  // Places in lists (connection_list.hpp): sockets with something to read, those not yet watched, and answers held back.
  Connection *next_readable = nullptr, *next_unwatched = nullptr, *next_holding = nullptr;
  bool is_readable = false, is_unwatched = false, holds_answer = false;
  bool closed = false;  // its handle too

 private:
  enum class State : std::uint8_t { head, body, handling, lingering, closing };
  // What the socket would not take at once.
  struct Sending {
    uv_write_t request{};
    std::vector<Segment> queue;
    std::size_t first = 0;                     // the segments before it have been sent
    std::size_t in_write = 0;                  // segments that the write under way covers
    std::vector<char> piece;                   // of a file
    std::uint64_t handed = 0;                  // bytes given to libuv or the kernel since this was made
    std::uint64_t delivered_at_last_look = 0;  // when write_timeout was last looked at
    Pace pace;
  };

  // When memory runs out in it, this connection is lost and no other. What the loop, a timer or an exchange calls goes
  // through here: behind them is libuv, or a handler, where nothing may be thrown.
  template <class Work>
  void guarded(Work work) noexcept {
    try {
      work();
    } catch (const std::bad_alloc&) {
      out_of_memory();
    }
  }
  void out_of_memory() noexcept;
  void lose_to(int reason);
  void pass_on(Exchange& exchange, Push push);
  void begin_sending();

  static void on_alloc(uv_handle_t* handle, size_t suggested, uv_buf_t* out) noexcept;
  static void on_readable(uv_stream_t* stream, ssize_t status, const uv_buf_t* into) noexcept;
  void got_bytes(std::size_t count);
  bool read_once();
  void take_bytes(std::size_t count);
  void look_at_time();
  void got_end();
  void process();
  bool take_proxy_header();  // false: not whole yet, or refused
  void fit_buffer();
  bool process_head();  // true: there is something to go on with
  bool begin_body();
  bool process_body();
  bool body_moves(std::size_t count);                                   // false: too slowly, and refused
  bool take_body_bytes(std::string_view bytes, std::size_t& consumed);  // false: refused or complete; see state_
  void body_complete();
  void refuse(int status, std::string_view fault);
  void begin_refused();
  void log_refusal(int status, std::uint64_t body_bytes);
  void answer_plain(int status, std::string_view text);
  void end_exchange(Exchange& exchange);
  void next_request();
  bool append_out(Exchange& exchange);
  void flush();
  static void discard_all(std::vector<Segment>& segments) noexcept;
  bool reserve_out(std::size_t bytes);
  void send_segments(std::vector<Segment>& segments, Push push = Push::now);
  bool send_out(bool more);
  Segment* send_now(Segment* first, Segment* end, bool more);
  bool send_file_now(Segment& segment);
  void sent_now(std::size_t bytes);
  void cut_file(const Segment& segment, int reason);
  void account(const Segment& segment, std::uint64_t bytes);
  void queue_rest(Segment* first, Segment* end);
  std::uint64_t delivered() noexcept;
  std::size_t kernel_holds() noexcept;
  bool takes_too_slowly();
  void write_rest();
  void wrote_rest(int status);
  void all_sent();
  void part();
  void reset();
  void wait_for_request();
  void close_when_taken();
  void due_in(seconds limit);
  void lose(const char* why);
  void pause_reading();
  void resume_reading();

  union Handle {
    uv_tcp_t tcp;
    uv_pipe_t pipe;
    uv_stream_t stream;
    uv_handle_t handle;
  };

  Handle handle_;
  Loop& loop_;
  int fd_ = -1;
  State state_ = State::head;
  bool reading_ = false;
  bool end_seen_ = false;     // the client has sent its last byte
  bool close_after_ = false;  // when all is sent
  bool retired_ = false;
  bool unread_ = false;     // the client may still be sending when we part
  bool cut_ = false;        // part by a reset: the answer is not whole
  bool answering_ = false;  // bytes of the answer in the making are out
  bool contained_ = false;  // the body is collected in in_
  bool proxy_header_due_ = false;
  std::uint32_t scanned_ = 0;
  std::size_t untaken_ = 0;  // kernel_holds() when an idle connection was last looked at
  Peer peer_;
  Buffer* in_ = nullptr;   // bytes not yet understood
  Buffer* out_ = nullptr;  // bytes not yet sent
  Exchange* exchange_ = nullptr;
  std::uint64_t body_left_ = 0;  // of the length announced; of a chunked body, what limit_request_body leaves
  std::unique_ptr<protocol::ChunkDecoder> chunks_;
  std::unique_ptr<Sending> sending_;
};

}  // namespace narwhal::worker
