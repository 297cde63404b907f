#include "worker/response_bytes.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "worker/loop.hpp"

namespace narwhal::worker {

bool ResponseBytes::reserve(std::size_t bytes) {
  if (buffer_ != nullptr) return buffer_->room() >= bytes;
  // On a thread without the baton the pool is out of reach.
  buffer_ = BufferPool::make(std::max<std::size_t>(bytes, 1024));
  return true;
}

char* ResponseBytes::begin_head(std::size_t bytes_max) {
  if (!reserve(bytes_max)) {  // only a head of unusual size gets here: the buffer holds nothing yet
    std::free(std::exchange(buffer_, BufferPool::make(bytes_max)));
  }
  return buffer_->tail();
}

void ResponseBytes::end_head(std::size_t bytes, std::size_t begin) noexcept {
  head_ = {buffer_->tail() + begin, bytes - begin};
  buffer_->end += static_cast<std::uint32_t>(bytes);
}

void ResponseBytes::append_segment(Segment segment) try { segments_.push_back(segment); } catch (...) {
  worker::discard(segment);
  throw;
}

void ResponseBytes::append(std::string_view bytes) {
  if (bytes.empty()) return;
  if (!segments_.empty() || !reserve(bytes.size())) return append_segment(copy_of(bytes));
  std::memcpy(buffer_->tail(), bytes.data(), bytes.size());
  buffer_->end += static_cast<std::uint32_t>(bytes.size());
}

void ResponseBytes::append_literal(std::string_view text) {
  if (segments_.empty()) return append(text);
  append_segment({.data = text.data(), .size = text.size()});
}

void ResponseBytes::own_all() { std::for_each(segments_.begin(), segments_.end(), own); }

std::uint64_t ResponseBytes::move_to(std::vector<Segment>& parts) noexcept {
  std::uint64_t bytes = 0;
  const auto move = [&](Segment segment) {
    segment.counted = true;
    bytes += segment.size;
    parts.push_back(segment);
  };
  if (buffer_ != nullptr && buffer_->size() != 0) {
    head_ = {};
    move({.data = buffer_->bytes() + buffer_->begin,
          .size = buffer_->size(),
          .release = Loop::drop_buffer,
          .release_arg = buffer_});
    buffer_ = nullptr;
  }
  std::for_each(segments_.begin(), segments_.end(), move);
  segments_.clear();
  return bytes;
}

void ResponseBytes::discard() noexcept {
  discard_all(segments_);
  if (buffer_ != nullptr) buffer_->end = buffer_->begin;
  head_ = {};
}

void ResponseBytes::reset() noexcept {
  discard_all(segments_);
  head_ = {};
}

}  // namespace narwhal::worker
