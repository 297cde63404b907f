// collect_body(): the whole body of a streamed request, in the request's own memory. For router.hpp.
// Errors     HttpError 413 for a body of more than `most` bytes; what Request::read() throws.
// Threads    the handler's; waits for the client.
// Units      sizes are in bytes.
#pragma once

#include <narwhal/request.hpp>

#include <cstdint>
#include <cstring>

namespace narwhal::detail {

// Null when the server has collected it already, or an outer router.
inline CollectedBody* collect_body(const Request& request, std::size_t most) {
  const std::uint64_t announced = request.body_size().value_or(0);
  for (const Routing* at = request.routing(); at != nullptr; at = at->outer) {
    if (at->body != nullptr) return nullptr;
  }
  narwhal_bytes whole{};
  if (request.host()->body(request.exchange(), &whole) != NARWHAL_STATE) return nullptr;
  if (announced > most) throw HttpError(413);
  // Grows with what has arrived: no memory is reserved on the strength of a Content-Length alone.
  std::size_t room = 4 * 1024, size = 0;
  char* bytes = static_cast<char*>(request.alloc(room));
  while (const std::size_t got = request.read({bytes + size, room - size})) {
    size += got;
    if (size > most) throw HttpError(413);
    if (size < room) continue;
    char* const larger = static_cast<char*>(request.alloc(2 * room));
    std::memcpy(larger, bytes, size);
    bytes = larger;
    room *= 2;
  }
  auto* const body = new (request.alloc(sizeof(CollectedBody))) CollectedBody;
  body->bytes = {bytes, size};
  return body;
}

}  // namespace narwhal::detail
