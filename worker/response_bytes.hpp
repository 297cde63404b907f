// ResponseBytes: what has been written of a response and has not been handed over yet: a buffer, and segments after it.
// Ownership  of the buffer and of what the segments hold.
// Threads    the answering thread's; when its handler has returned, the loop's.
// Memory     the list's is kept from one response to the next.
// Errors     std::bad_alloc, and then nothing has been added.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/buffers.hpp"
#include "worker/segment.hpp"

namespace narwhal::worker {

class ResponseBytes {
 public:
  ResponseBytes() = default;
  ResponseBytes(const ResponseBytes&) = delete;
  ResponseBytes& operator=(const ResponseBytes&) = delete;

  bool has_buffer() const noexcept { return buffer_ != nullptr; }
  void give_buffer(Buffer* buffer) noexcept { buffer_ = buffer; }
  Buffer* take_buffer() noexcept { return std::exchange(buffer_, nullptr); }
  std::vector<Segment>& segments() noexcept { return segments_; }
  bool empty() const noexcept { return (buffer_ == nullptr || buffer_->size() == 0) && segments_.empty(); }
  std::size_t room() const noexcept { return buffer_ != nullptr ? buffer_->room() : 0; }

  // A response's head is written to the place that begin_head() gives.
  char* begin_head(std::size_t bytes_max);
  void end_head(std::size_t bytes, std::size_t begin) noexcept;  // `begin`: where its first line is
  // For the access log: valid until reset(), and empty once the buffer has been handed over.
  std::string_view head() const noexcept { return head_; }

  void append(std::string_view bytes);
  void append_literal(std::string_view text);  // not copied where it would need memory of its own
  void append_segment(Segment segment);        // takes it over, also when it throws
  bool reserve(std::size_t bytes);             // room in the buffer
  // So many more can be appended without an exception.
  void reserve_segments(std::size_t count) { segments_.reserve(segments_.size() + count); }

  // Makes borrowed bytes its own. After std::bad_alloc some may be.
  void own_all();
  // To the end of `parts`, each marked as counted: their bytes. `parts` has room for parts() more.
  std::uint64_t move_to(std::vector<Segment>& parts) noexcept;
  std::size_t parts() const noexcept { return empty() ? 0 : segments_.size() + 1; }
  void discard() noexcept;  // what has been written; the buffer stays
  void reset() noexcept;    // after take_buffer()

 private:
  Buffer* buffer_ = nullptr;
  std::vector<Segment> segments_;
  std::string_view head_;
};

}  // namespace narwhal::worker
