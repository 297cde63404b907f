#include "worker/inbox.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace narwhal::worker {

void Inbox::feed(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  bytes_.append(bytes);
  changed_.notify_all();
}

void Inbox::end() noexcept {
  const std::lock_guard lock(mutex_);
  state_.ended = true;
  changed_.notify_all();
}

void Inbox::close() noexcept {
  const std::lock_guard lock(mutex_);
  state_.closed = true;
  changed_.notify_all();
}

bool Inbox::stop_when_full(std::size_t bytes_max) noexcept {
  const std::lock_guard lock(mutex_);
  state_.stopped = bytes_.size() - state_.read >= bytes_max;
  return state_.stopped;
}

Inbox::Read Inbox::read(char* buffer, std::size_t size) noexcept {
  const std::lock_guard lock(mutex_);
  if (state_.read == bytes_.size()) {
    if (state_.ended) return {Read::Result::ended};
    return {state_.closed ? Read::Result::closed : Read::Result::nothing_yet};
  }
  const std::size_t count = std::min(size, bytes_.size() - state_.read);
  std::memcpy(buffer, bytes_.data() + state_.read, count);
  state_.read += count;
  if (state_.read != bytes_.size()) return {Read::Result::bytes, count};
  bytes_.clear();
  state_.read = 0;
  return {Read::Result::bytes, count, std::exchange(state_.stopped, false)};
}

bool Inbox::ended() const noexcept {
  const std::lock_guard lock(mutex_);
  return state_.ended;
}

bool Inbox::readable() const noexcept {
  const std::lock_guard lock(mutex_);
  return readable_now();
}

void Inbox::wait() noexcept {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return readable_now(); });
}

void Inbox::reset() noexcept {
  bytes_.clear();
  state_ = {};
}

}  // namespace narwhal::worker
