// Pooled buffers: what a connection holds while bytes are on their way, and nothing when it is idle.
// Ownership  counted: the connection and the exchange whose head lies in a buffer share it.
// Threads    the pool and the counts belong to the holder of the baton; the bytes may be read and, in an
//            exchange's own buffer, be written by its handler's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string_view>
#include <utility>

namespace narwhal::worker {

struct Buffer {
  Buffer* next = nullptr;  // in the pool
  std::uint32_t references = 1;
  std::uint32_t capacity = 0;
  std::uint32_t begin = 0, end = 0;  // the bytes in use

  char* bytes() noexcept { return reinterpret_cast<char*>(this + 1); }
  char* tail() noexcept { return bytes() + end; }
  std::size_t size() const noexcept { return end - begin; }
  std::size_t room() const noexcept { return capacity - end; }
  std::string_view view() noexcept { return {bytes() + begin, size()}; }
  Buffer* share() noexcept { return ++references, this; }  // one owner more, who calls BufferPool::drop()
};

class BufferPool {
 public:
  // Not a power of two: equal offsets in neighbouring buffers would fall into the same few cache sets.
  static constexpr std::uint32_t usual_capacity = 16 * 1024;
  static constexpr std::size_t spare_max = 256;

  BufferPool() = default;
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool() {
    while (spare_ != nullptr) std::free(std::exchange(spare_, spare_->next));
  }

  Buffer* take() {
    if (spare_ == nullptr) return make(usual_capacity);
    Buffer* buffer = spare_;
    spare_ = buffer->next;
    --spare_count_;
    buffer->references = 1;
    buffer->begin = buffer->end = 0;
    return buffer;
  }
  // For what does not fit the usual size; given back to malloc, not to the pool.
  static Buffer* make(std::size_t capacity) {
    void* memory = std::malloc(sizeof(Buffer) + capacity);
    if (memory == nullptr) throw std::bad_alloc();
    Buffer* buffer = new (memory) Buffer;
    buffer->capacity = static_cast<std::uint32_t>(capacity);
    return buffer;
  }
  void drop(Buffer* buffer) noexcept {
    if (--buffer->references != 0) return;
    if (buffer->capacity != usual_capacity || spare_count_ == spare_max) {
      std::free(buffer);
      return;
    }
    buffer->next = spare_;
    spare_ = buffer;
    ++spare_count_;
  }

 private:
  Buffer* spare_ = nullptr;
  std::size_t spare_count_ = 0;
};

}  // namespace narwhal::worker
