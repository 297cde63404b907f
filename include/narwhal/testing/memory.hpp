// ExchangeMemory: what a plugin sees of one request, in blocks of its own, so that wrong use is found.
//   after alloc(n)      bytes stand before and after the n that must not change
//   after the end       every byte is overwritten and stays until the worker ends; a write to it is found, and a
//                       pointer into it is recognised when it is given to the host
//   AddressSanitizer    makes both an error at the very access
// Ownership  of all blocks, until it is destroyed.
// Errors     std::bad_alloc.
// Threads    none: the exchange's mutex is held.
#pragma once

#include <narwhal/text.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define NARWHAL_TESTING_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NARWHAL_TESTING_ASAN 1
#endif
#endif
#ifdef NARWHAL_TESTING_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace narwhal::testing::detail {

inline void poison([[maybe_unused]] const void* at, [[maybe_unused]] std::size_t size) noexcept {
#ifdef NARWHAL_TESTING_ASAN
  __asan_poison_memory_region(at, size);
#endif
}
inline void unpoison([[maybe_unused]] const void* at, [[maybe_unused]] std::size_t size) noexcept {
#ifdef NARWHAL_TESTING_ASAN
  __asan_unpoison_memory_region(at, size);
#endif
}

class ExchangeMemory {
 public:
  ExchangeMemory() = default;
  ExchangeMemory(const ExchangeMemory&) = delete;
  ExchangeMemory& operator=(const ExchangeMemory&) = delete;
  ~ExchangeMemory() {
    for (const Block& block : blocks_) unpoison(block.bytes.get(), block.size + 2 * guard);
  }

  // Aligned for any type; of_plugin: from alloc().
  void* allocate(std::size_t size, bool of_plugin) {
    Block block{std::make_unique<char[]>(size + 2 * guard), size, of_plugin};
    char* const at = block.bytes.get();
    std::memset(at, guard_byte, guard);
    std::memset(at + guard, fresh_byte, size);
    std::memset(at + guard + size, guard_byte, guard);
    poison(at, guard);
    poison(at + guard + size, guard);
    blocks_.push_back(std::move(block));
    return at + guard;
  }
  narwhal_bytes copy(std::string_view text) {
    char* const at = static_cast<char*>(allocate(text.size(), false));
    std::copy(text.begin(), text.end(), at);
    return {at, text.size()};
  }

  // The size of a block of alloc() around which something was written.
  std::optional<std::size_t> damaged() const {
    for (const Block& block : blocks_) {
      const char* const at = block.bytes.get();
      unpoison(at, block.size + 2 * guard);
      const bool intact = all_are(at, guard, guard_byte) && all_are(at + guard + block.size, guard, guard_byte);
      poison(at, guard);
      poison(at + guard + block.size, guard);
      if (!intact && block.of_plugin) return block.size;
    }
    return std::nullopt;
  }

  // The request has ended.
  void retire() {
    for (const Block& block : blocks_) {
      unpoison(block.bytes.get(), block.size + 2 * guard);
      std::memset(block.bytes.get(), ended_byte, block.size + 2 * guard);
      poison(block.bytes.get(), block.size + 2 * guard);
    }
    retired_ = true;
  }
  // Something has been written to it since.
  bool written_after_end() const {
    if (!retired_) return false;
    return std::any_of(blocks_.begin(), blocks_.end(), [](const Block& block) {
      const std::size_t size = block.size + 2 * guard;
      unpoison(block.bytes.get(), size);
      const bool intact = all_are(block.bytes.get(), size, ended_byte);
      poison(block.bytes.get(), size);
      return !intact;
    });
  }

  bool owns(const void* pointer) const noexcept {
    const auto* const at = static_cast<const char*>(pointer);
    return std::any_of(blocks_.begin(), blocks_.end(), [at](const Block& block) {
      const char* const begin = block.bytes.get();
      return !std::less<>()(at, begin) && std::less<>()(at, begin + block.size + 2 * guard);
    });
  }

 private:
  static constexpr std::size_t guard = 32;
  static constexpr unsigned char guard_byte = 0xa7, fresh_byte = 0xc3, ended_byte = 0xdb;

  struct Block {
    std::unique_ptr<char[]> bytes;  // a guard, `size` bytes, a guard
    std::size_t size;
    bool of_plugin;
  };
  static bool all_are(const char* at, std::size_t size, unsigned char byte) {
    return std::all_of(at, at + size, [byte](char c) { return static_cast<unsigned char>(c) == byte; });
  }

  std::vector<Block> blocks_;
  bool retired_ = false;
};

}  // namespace narwhal::testing::detail
