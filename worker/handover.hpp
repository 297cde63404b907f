// Handover: a queue that takes a response from the thread that makes it to the loop, part by part. Counts what is not sent.
// Threads  put(), wait_until_drained(), ask_for_room(): the answering thread. take(), drop(), sent(), take_room_event(),
//          close(), reset(): the baton's holder. Everything else: any.
// Order    `reached` is seen together with the bytes that put() added, never before them.
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
  // Moves `bytes` here. no_memory: nothing has changed; it cannot happen when there are no bytes.
  // `posted`: null if the caller holds the loop and takes the bytes from here itself. Otherwise the mark that the exchange
  // is in the loop's queue. It is set under the lock, because the loop may recycle the exchange as soon as it is
  // unlocked. to_post: the caller has to put the exchange into that queue.
  Put put(ResponseBytes& bytes, Reached reached, std::atomic<bool>* posted) noexcept;

  struct Taken {
    bool has_head;  // the response's head is or was among the parts; heads of interim responses do not count
    bool ended;
  };
  // Swaps the parts that are here with `parts`, which is empty.
  Taken take(std::vector<Segment>& parts) noexcept;
  // The same after the handler has returned, with the bytes that it left in `rest`. Throws std::bad_alloc.
  Taken take_all(std::vector<Segment>& parts, ResponseBytes& rest, Reached reached);
  bool drop() noexcept;  // discards the parts; true: the response has ended
  bool ended() const noexcept;

  bool has_room() const noexcept { return unsent_.load(std::memory_order_relaxed) < bytes_max_; }
  bool has_room_for(std::size_t bytes) const noexcept {
    return unsent_.load(std::memory_order_relaxed) + bytes < bytes_max_;
  }
  // So little is left that a writer which had to wait goes on. It is much less than the limit, so that the writer has much
  // to do before it waits again.
  bool drained() const noexcept { return unsent_.load(std::memory_order_relaxed) < low_water(); }
  void wait_until_drained();  // or until close()
  // For a writer that may not wait. True: there is room by now. False: a later sent() returns true.
  bool ask_for_room() noexcept;
  bool sent(std::uint64_t bytes) noexcept;  // true: there is room, for which a writer has asked
  bool take_room_event() noexcept;          // true, once, after sent() has returned true
  void close() noexcept;                    // the loop will take nothing more: a writer that waits goes on
  void reset() noexcept;

 private:
  void make_room(std::size_t parts);
  void move(ResponseBytes& bytes, Reached reached) noexcept;
  std::size_t low_water() const noexcept { return bytes_max_ / 4 + 1; }

  enum class Room : std::uint8_t { unasked, asked, found };
  struct State {
    Reached reached = Reached::interim;
    bool closed = false;
  };
  const std::size_t bytes_max_;
  std::atomic<std::uint64_t> unsent_{0};
  std::atomic<Room> room_{Room::unasked};
  mutable std::mutex mutex_;  // guards everything below
  std::condition_variable changed_;
  std::vector<Segment> parts_;
  State state_;
};

}  // namespace narwhal::worker
