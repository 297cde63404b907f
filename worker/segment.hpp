// Segment: a part of a response that is not in the exchange's own buffer: memory, or a range of a file. It is a plain
// value, so that lists of them can be swapped and grown cheaply: whoever has it calls discard() once.
// Errors  std::bad_alloc where a copy is made.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

namespace narwhal::worker {

struct Segment {
  const char* data = nullptr;  // null: `file`
  std::uint64_t size = 0;
  void (*release)(void*) = nullptr;
  void* release_arg = nullptr;
  int file = -1;
  std::int64_t offset = 0;
  bool owns_file = true;  // false: a later one does
  bool counted = false;   // in Handover's unsent bytes
  bool borrowed = false;  // `data` is the writer's: whoever keeps the segment beyond its call makes a copy
};
void discard(Segment& segment) noexcept;
void discard_each(std::vector<Segment>& segments) noexcept;
inline void discard_all(std::vector<Segment>& segments) noexcept {
  if (!segments.empty()) discard_each(segments);
}
// Makes the bytes of a borrowed one its own. Throws std::bad_alloc, and then has changed nothing.
void own(Segment& segment);
Segment copy_of(std::string_view bytes);

// Memory that is about to become a segment.
class OwnedMemory {
 public:
  explicit OwnedMemory(std::size_t size) : data_(static_cast<char*>(std::malloc(size))) {
    if (data_ == nullptr) throw std::bad_alloc();
  }
  OwnedMemory(const OwnedMemory&) = delete;
  OwnedMemory& operator=(const OwnedMemory&) = delete;
  ~OwnedMemory() { std::free(data_); }
  char* data() noexcept { return data_; }
  Segment segment(std::size_t size) && noexcept {
    char* const data = std::exchange(data_, nullptr);
    return {.data = data, .size = size, .release = std::free, .release_arg = data};
  }

 private:
  char* data_;
};

// Bytes that a plugin lends: `release` is called once, when they are not needed any more.
class LentBytes {
 public:
  LentBytes() = default;
  LentBytes(void (*release)(void*), void* argument) noexcept : release_(release), argument_(argument) {}
  LentBytes(const LentBytes&) = delete;
  LentBytes& operator=(const LentBytes&) = delete;
  ~LentBytes() {
    if (release_ != nullptr) release_(argument_);
  }
  explicit operator bool() const noexcept { return release_ != nullptr; }
  // From here on it is the segment that gives them back.
  Segment segment(std::string_view bytes) noexcept {
    return {.data = bytes.data(),
            .size = bytes.size(),
            .release = std::exchange(release_, nullptr),
            .release_arg = argument_};
  }
  void decline() noexcept { release_ = nullptr; }  // nothing was taken

 private:
  void (*release_)(void*) = nullptr;
  void* argument_ = nullptr;
};

}  // namespace narwhal::worker
