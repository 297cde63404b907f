// Sender: the way out of one connection. Bytes leave in the order in which they were given: straight to the socket while
// it takes everything, through libuv's writes when it is full.
//   held     at most one buffer of bytes, which waits for more to leave with it
//   waiting  what the socket would not take; until it is sent, all else queues up after it
// Ownership  segments and buffers given to it are its own, also where it fails.
// Time       a client that is waited for must take some bytes within write_timeout, and take them at min_rate: the owner
//            calls check_progress() when write_timeout has passed since on_waiting().
// Errors     go to the owner's on_send_failed(), which has to close the socket and call close(). std::bad_alloc comes out of
//            the methods; in libuv's callback it becomes SendError::Kind::memory.
// Threads    the holder of the baton.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "worker/buffers.hpp"
#include "worker/exchange.hpp"
#include "worker/pace.hpp"

namespace narwhal::worker {

class ClientSocket;

struct SendError {
  enum class Kind : std::uint8_t { socket, file, silent, slow, memory };
  Kind kind;
  int code = 0;               // errno, of a socket or a file; of a file 0: it has ended too early
  std::uint64_t missing = 0;  // bytes of the file that cannot be sent
};

class Sender {
 public:
  class Owner {
   public:
    virtual void on_sent(std::uint64_t bytes) = 0;  // of segments that are counted: the kernel has them
    virtual void on_waiting() = 0;                  // for the client: from now on it has write_timeout
    virtual void on_all_sent() = 0;                 // nothing waits any more
    virtual void on_send_failed(const SendError& error) = 0;

   protected:
    ~Owner() = default;
  };

  Sender(Loop& loop, ClientSocket& socket, Owner& owner) noexcept : loop_(loop), socket_(socket), owner_(owner) {}
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;
  ~Sender();              // once libuv has let the socket go
  void close() noexcept;  // drops what is held

  bool holds() const noexcept { return held_ != nullptr; }
  bool waiting() const noexcept { return waiting_ != nullptr; }

  // The methods that return false have failed, and the owner knows.
  bool append(std::string_view bytes);
  bool append(Buffer* buffer);
  // Room at the end of the held bytes, for the caller to fill; then added(). Null: it has failed.
  char* room_for(std::size_t bytes);
  void added(std::size_t bytes) noexcept { held_->end += static_cast<std::uint32_t>(bytes); }
  // Whether the segments are few bytes of memory, so that hold() may copy them to the held ones.
  bool can_hold(const std::vector<Segment>& segments) const noexcept;
  bool hold(std::vector<Segment>& segments);
  // Sends what is held. `next`: what follows at once: with `more` (bytes, or the end) the kernel sends both together.
  enum class Next : std::uint8_t { nothing, more };
  bool flush(Next next = Next::nothing) { return held_ == nullptr || send_held(next); }
  // Sends the segments, after what is held.
  bool send(std::vector<Segment>& segments);

  // While waiting(): whether the client has taken anything since the last look, and quickly enough.
  void check_progress();

 private:
  enum class FileSent : std::uint8_t { all, some, failed };
  struct Waiting {
    uv_write_t request{};
    std::vector<Segment> parts;
    std::size_t first = 0;                     // those before it have been sent
    std::size_t in_write = 0;                  // how many the write under way covers
    std::vector<char> piece;                   // of a file
    std::uint64_t handed = 0;                  // bytes given to libuv or the kernel since this was made
    std::uint64_t delivered_at_last_look = 0;  // by check_progress()
    Pace pace;
  };

  bool send_held(Next next);
  Segment* send_now(Segment* first, Segment* end);
  FileSent send_file_now(Segment& segment);
  Segment* consume(Segment* first, std::uint64_t bytes);
  void count_sent(std::uint64_t bytes) noexcept;
  void wait_with(Segment* first, Segment* end);
  void begin_waiting();
  void write_next();
  bool read_piece(Segment& file, uv_buf_t& part);
  void on_written(int status) noexcept;
  void account_written();
  void send_more();
  std::uint64_t delivered() const noexcept;
  bool check_pace();
  void fail(const SendError& error) { owner_.on_send_failed(error); }
  void fail_file(const Segment& file, int reason);

  Loop& loop_;
  ClientSocket& socket_;
  Owner& owner_;
  Buffer* held_ = nullptr;
  std::unique_ptr<Waiting> waiting_;
};

}  // namespace narwhal::worker
