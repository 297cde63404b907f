// Arena: memory that lives as long as one exchange. The first bytes cost nothing: they are part of it.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <utility>

namespace narwhal::worker {

class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { clear(); }

  // Aligned for any type; null when memory is out.
  void* allocate(std::size_t size) noexcept {
    constexpr std::size_t align = alignof(std::max_align_t);
    if (size > static_cast<std::size_t>(-1) / 2) return nullptr;
    size = (size + align - 1) & ~(align - 1);
    if (size <= sizeof first_ - used_) return first_ + std::exchange(used_, used_ + size);
    auto* block = static_cast<Block*>(std::malloc(sizeof(Block) + size));
    if (block == nullptr) return nullptr;
    block->next = std::exchange(blocks_, block);
    return block + 1;
  }
  void clear() noexcept {
    used_ = 0;
    while (blocks_ != nullptr) std::free(std::exchange(blocks_, blocks_->next));
  }

 private:
  struct alignas(std::max_align_t) Block {
    Block* next;
  };
  alignas(std::max_align_t) char first_[512];
  std::size_t used_ = 0;
  Block* blocks_ = nullptr;
};

}  // namespace narwhal::worker
