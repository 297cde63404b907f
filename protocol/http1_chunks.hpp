// HTTP/1 chunked bodies: bytes in, pieces of the body out. RFC 9112 7.1.
// Ownership  a piece is a view into the bytes given.
// Errors     bad bytes give Status::refused and a fault(), a literal. Refusal is final. Never throws.
// Bounds     chunk extensions 4 KiB and trailers 8 KiB a message; a size has at most 16 digits and is below 2^63. Trailers are
//            checked, then dropped; those that would frame, route or authorise are refused.
// Blanks     none around a size or an extension: the grammar's "bad white space" is a smuggler's tool alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/http1_head.hpp"

namespace narwhal::protocol {

struct ChunkFed {
  Status status = Status::need_more;  // complete: the last chunk and the trailers have been read
  std::size_t consumed = 0;           // bytes of the input used up
  std::string_view data;              // a piece of the body, maybe empty; call again with the rest
};

class ChunkDecoder {
 public:
  // Any cut of the stream, even one byte at a time. Returns after each piece, so call until nothing of the
  // input is left or status is not need_more.
  ChunkFed feed(std::string_view bytes) noexcept;
  const char* fault() const noexcept { return fault_; }
  // What is still to come of the chunk whose size was read last, in bytes.
  std::uint64_t chunk_left() const noexcept;

 private:
  enum class State : std::uint8_t;
  ChunkFed refuse(const char* fault, std::size_t consumed) noexcept;
  const char* step(char c) noexcept;  // every byte but the body's; returns a fault or null
  const char* step_size(char c) noexcept;
  const char* step_extension(char c) noexcept;
  const char* step_trailer(char c) noexcept;
  State state_{};
  std::uint8_t digits_ = 0;     // of the size, so far
  std::uint8_t name_at_ = 0;    // bytes of the trailer's name so far, saturated
  std::uint8_t forbidden_ = 0;  // one bit for each forbidden name that the trailer's may still become
  std::uint32_t overhead_ = 0;  // bytes of extensions, then of trailers, so far
  std::uint64_t left_ = 0;      // of the chunk's data
  const char* fault_ = "";
};

// The size line of one outgoing chunk: "1a2b\r\n". `out` holds at least chunk_line_bytes_max.
constexpr std::size_t chunk_line_bytes_max = 18;
std::size_t encode_chunk_line(std::uint64_t size, char* out) noexcept;

}  // namespace narwhal::protocol
