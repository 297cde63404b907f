// A fuzzer's input: how the network cuts a stream, then the stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace narwhal::fuzz {

// A broken promise ends the run, so that the fuzzer keeps the input.
inline void must(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

// The sizes of the pieces, endless and always at least 1; the same seed gives the same cuts.
class Cuts {
 public:
  explicit Cuts(std::uint16_t seed) : state_(seed) {}
  std::size_t next() {
    state_ = state_ * 1664525u + 1013904223u;
    const std::uint32_t chosen = state_ >> 16;
    return 1 + (chosen % 4 == 0 ? chosen % 61 : chosen % 5);
  }

 private:
  std::uint32_t state_;
};

struct Input {
  std::uint16_t seed = 0;
  std::string_view stream;
};

inline Input input_of(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return {};
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  return {static_cast<std::uint16_t>(data[0] | data[1] << 8), all.substr(2)};
}

}  // namespace narwhal::fuzz
