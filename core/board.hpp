// Board: shared memory on which the master publishes a text of bytes and readers in other processes copy it.
// Trust    readers may be stopped or killed at any time: they change nothing, and the master never waits for them.
// Threads  publish(), beat(): the master's only one. Reading: any, in any process forked after create().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.hpp"
#include "core/result.hpp"

namespace narwhal {

class Board {
 public:
  static constexpr std::size_t bytes_max = std::size_t{4} << 20;  // pages are committed only when touched
  static Result<Board> create();
  Board(Board&& other) noexcept;
  Board& operator=(Board&&) = delete;
  ~Board();

  // False: it is too long, and the last one stays.
  bool publish(std::string_view bytes) noexcept;
  // The master's loop has turned.
  void beat(Instant now) noexcept { memory_->beat.store(now, std::memory_order_relaxed); }

  // What was published last; nullopt if nothing was, or if the master was stopped while it wrote.
  std::optional<std::string> read() const;
  Instant last_beat() const noexcept { return memory_->beat.load(std::memory_order_relaxed); }

 private:
  struct Memory {
    std::atomic<std::uint64_t> sequence;  // odd while publish() writes
    std::atomic<std::uint64_t> size;
    std::atomic<Instant> beat;
    char bytes[bytes_max];
  };
  explicit Board(Memory* memory) noexcept : memory_(memory) {}
  Memory* memory_;
};

}  // namespace narwhal
