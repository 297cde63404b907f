#include "core/board.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/scoreboard.hpp"

namespace narwhal {
namespace {

// A copy takes far less than the time between two publications; a master that was stopped in the middle of one does not
// come back soon.
constexpr int read_attempts = 50;
constexpr useconds_t read_pause = 1000;

}  // namespace

Result<Board> Board::create() {
  // Zero pages are a valid, empty board.
  void* const memory =
      ::mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return errno_error("create the board");
  return Board(static_cast<Memory*>(memory));
}

Board::Board(Board&& other) noexcept : memory_(std::exchange(other.memory_, nullptr)) {}

Board::~Board() {
  if (memory_ != nullptr) ::munmap(memory_, sizeof(Memory));
}

bool Board::publish(std::string_view bytes) noexcept {
  if (bytes.size() > bytes_max) return false;
  const std::uint64_t odd = memory_->sequence.load(std::memory_order_relaxed) | 1u;
  memory_->sequence.store(odd, std::memory_order_relaxed);
  fence(std::memory_order_release);
  memory_->size.store(bytes.size(), std::memory_order_relaxed);
  std::memcpy(memory_->bytes, bytes.data(), bytes.size());
  memory_->sequence.store(odd + 1, std::memory_order_release);
  return true;
}

std::optional<std::string> Board::read() const {
  for (int attempt = 0; attempt < read_attempts; ++attempt) {
    const std::uint64_t before = memory_->sequence.load(std::memory_order_acquire);
    if (before == 0) return std::nullopt;
    const std::size_t size = std::min<std::size_t>(memory_->size.load(std::memory_order_relaxed), bytes_max);
    std::string copy(memory_->bytes, size);
    fence(std::memory_order_acquire);
    if (before % 2 == 0 && memory_->sequence.load(std::memory_order_relaxed) == before) return copy;
    ::usleep(read_pause);
  }
  return std::nullopt;
}

}  // namespace narwhal
