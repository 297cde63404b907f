#include "worker/segment.hpp"

#include <unistd.h>

#include <cstring>

namespace narwhal::worker {

void discard(Segment& segment) noexcept {
  if (segment.release != nullptr) segment.release(segment.release_arg);
  if (segment.file >= 0 && segment.owns_file) ::close(segment.file);
  segment = {};
}

void discard_each(std::vector<Segment>& segments) noexcept {
  for (Segment& segment : segments) discard(segment);
  segments.clear();
}

Segment copy_of(std::string_view bytes) {
  OwnedMemory memory(bytes.size());
  std::memcpy(memory.data(), bytes.data(), bytes.size());
  return std::move(memory).segment(bytes.size());
}

void own(Segment& segment) {
  if (!segment.borrowed) return;
  const bool counted = segment.counted;
  segment = copy_of({segment.data, segment.size});
  segment.counted = counted;
}

}  // namespace narwhal::worker
