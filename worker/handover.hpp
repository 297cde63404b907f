// Handover: how a response gets from the thread that makes it to the loop, part by part, and how much of it is under way.
// Threads  put(), wait_until_drained(): the answering thread. take(), drop(), sent(), close(), reset(): the baton's
//          holder. Everything else: any.
// Order    what put() says of the response's progress is seen together with the bytes, never before them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "worker/response_bytes.hpp"
#include "worker/segment.hpp"

namespace narwhal::worker {

class Handover {
 public:
  // `bytes_max`: a writer waits while this much is unsent.
  explicit Handover(std::size_t bytes_max) noexcept : bytes_max_(bytes_max) {}
  Handover(const Handover&) = delete;
  Handover& operator=(const Handover&) = delete;

  enum class Reached : std::uint8_t { interim, head, end };  // how far the response has come
  enum class Put : std::uint8_t { done, to_post, no_memory };
  // Moves `bytes` here; with no_memory nothing has changed, and without any bytes that cannot be.
  // `posted`: null where the caller holds the loop, and takes them from here itself. Else the mark that the exchange is
  // in the loop's queue; to_post: the caller has to put it there. It is set while this is locked, because afterwards the
  // loop may recycle the exchange.
  Put put(ResponseBytes& bytes, Reached reached, std::atomic<bool>* posted) noexcept;

  struct Taken {
    bool has_head;  // the response's head is or was among it: interim responses do not count
    bool ended;
  };
  // Swaps what is here with `parts`, which are empty.
  Taken take(std::vector<Segment>& parts) noexcept;
  // The same for a handler that has returned, with what it has left in `rest`. Throws std::bad_alloc.
  Taken take_all(std::vector<Segment>& parts, ResponseBytes& rest, Reached reached);
  bool drop() noexcept;  // the same for nobody; true: it has ended
  bool ended() const noexcept;

  bool has_room() const noexcept { return unsent_.load(std::memory_order_relaxed) < bytes_max_; }
  bool has_room_for(std::size_t bytes) const noexcept {
    return unsent_.load(std::memory_order_relaxed) + bytes < bytes_max_;
  }
  // A writer that had to wait goes on when this little is left, so that it has much to do before it waits again.
  bool drained() const noexcept { return unsent_.load(std::memory_order_relaxed) < low_water(); }
  void wait_until_drained();  // or closed
  void sent(std::uint64_t bytes) noexcept;
  void close() noexcept;  // nobody will take any more: whoever waits goes on
  void reset() noexcept;

 private:
  void make_room(std::size_t parts);
  void move(ResponseBytes& bytes, Reached reached) noexcept;
  std::size_t low_water() const noexcept { return bytes_max_ / 4 + 1; }

  struct State {
    Reached reached = Reached::interim;
    bool closed = false;
  };
  const std::size_t bytes_max_;
  std::atomic<std::uint64_t> unsent_{0};
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<Segment> parts_;
  State state_;
};

}  // namespace narwhal::worker
