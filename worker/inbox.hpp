// Inbox: a queue that takes a streamed body from the loop to the handler that reads it.
// Owner    the exchange whose body it takes; it keeps a copy of the bytes.
// Threads  feed(), end(), stop_when_full(), close(): the baton's holder. read(), wait(): the handler's. ended(),
//          readable(): any. expect(), reset(): while no handler has the exchange.
// Errors   feed() throws std::bad_alloc, and has then added nothing. Nothing else fails.
// Memory   it is kept for the next body.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace narwhal::worker {

class Inbox {
 public:
  Inbox() = default;
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  void expect() noexcept { state_.ended = false; }  // a body will follow
  void feed(std::string_view bytes);
  void end() noexcept;
  void close() noexcept;  // the client is gone: nothing more will come, and the body is not complete
  // True when `bytes_max` wait to be read: the loop has to stop reading. The read() that makes room returns has_stopped.
  bool stop_when_full(std::size_t bytes_max) noexcept;

  struct Read {
    enum class Result : std::uint8_t { bytes, nothing_yet, ended, closed } result;
    std::size_t size = 0;      // of bytes
    bool has_stopped = false;  // the loop has stopped reading, and has to be asked to go on
  };
  Read read(char* buffer, std::size_t size) noexcept;
  bool ended() const noexcept;
  bool readable() const noexcept;  // read() would not return nothing_yet
  void wait() noexcept;            // until it is readable
  void reset() noexcept;

 private:
  bool readable_now() const noexcept { return state_.read != bytes_.size() || state_.ended || state_.closed; }

  struct State {
    std::size_t read = 0;  // of bytes_
    bool ended = true, closed = false;
    bool stopped = false;  // the loop waits for room
  };
  mutable std::mutex mutex_;  // guards everything below
  std::condition_variable changed_;
  std::string bytes_;
  State state_;
};

}  // namespace narwhal::worker
