#include "protocol/http1_chunks.hpp"

#include <algorithm>
#include <iterator>

#include "protocol/characters.hpp"

namespace narwhal::protocol {
namespace {

constexpr std::uint8_t size_digits_max = 16;
constexpr std::uint32_t extension_bytes_max = 4 * 1024;
constexpr std::uint32_t trailer_bytes_max = 8 * 1024;

// Fields that decided about the message before its body came; a trailer that says them again is an attack.
constexpr std::string_view forbidden_trailers[] = {"host",    "content-length", "transfer-encoding",
                                                   "trailer", "authorization",  "te"};
constexpr std::uint8_t all_forbidden = (1u << std::size(forbidden_trailers)) - 1;

// Of the names still possible, those that go on with `c` at `at`.
std::uint8_t narrowed(std::uint8_t possible, std::size_t at, char c) noexcept {
  const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  for (std::size_t i = 0; i < std::size(forbidden_trailers); ++i) {
    const std::string_view name = forbidden_trailers[i];
    if (at >= name.size() || name[at] != lower) possible &= static_cast<std::uint8_t>(~(1u << i));
  }
  return possible;
}

bool one_ends_at(std::uint8_t possible, std::size_t at) noexcept {
  for (std::size_t i = 0; i < std::size(forbidden_trailers); ++i) {
    if ((possible >> i & 1u) != 0 && forbidden_trailers[i].size() == at) return true;
  }
  return false;
}

}  // namespace

enum class ChunkDecoder::State : std::uint8_t {
  size,             // its digits
  extension_name,   // after ';', nothing of the name yet
  extension_named,  // in the name
  extension_value,  // after '=', nothing of the value yet
  extension_token,  // in a token
  quoted,           // in a quoted-string
  quoted_pair,      // after its '\'
  quoted_end,       // after its closing '"'
  size_lf,          // after the CR of the size line
  data,
  data_cr,
  data_lf,
  trailer_start,  // at the start of a trailer line, or of the empty line that ends all
  trailer_name,
  trailer_value,
  trailer_lf,
  end_lf,
  done,
  broken,
};

ChunkFed ChunkDecoder::refuse(const char* fault, std::size_t consumed) noexcept {
  state_ = State::broken;
  fault_ = fault;
  return {Status::refused, consumed, {}};
}

ChunkFed ChunkDecoder::feed(std::string_view bytes) noexcept {
  std::size_t at = 0;
  while (true) {
    if (state_ == State::done) return {Status::complete, at, {}};
    if (state_ == State::broken) return {Status::refused, at, {}};
    if (at == bytes.size()) return {Status::need_more, at, {}};
    if (state_ == State::data) {
      const std::size_t piece = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size() - at));
      left_ -= piece;
      if (left_ == 0) state_ = State::data_cr;
      return {Status::need_more, at + piece, bytes.substr(at, piece)};
    }
    if (const char* const fault = step(bytes[at])) return refuse(fault, at);
    ++at;
  }
}

std::uint64_t ChunkDecoder::chunk_left() const noexcept { return state_ == State::data ? left_ : 0; }

const char* ChunkDecoder::step(char c) noexcept {
  switch (state_) {
    case State::size: return step_size(c);
    case State::size_lf:
      if (c != '\n') return "CR without LF after a chunk's size";
      state_ = left_ != 0 ? State::data : State::trailer_start;
      if (left_ == 0) overhead_ = 0;  // from here on it counts the trailers
      digits_ = 0;
      return nullptr;
    case State::data_cr:
      if (c != '\r') return "no CRLF after a chunk's data";
      state_ = State::data_lf;
      return nullptr;
    case State::data_lf:
      if (c != '\n') return "no CRLF after a chunk's data";
      state_ = State::size;
      return nullptr;
    case State::trailer_start:
    case State::trailer_name:
    case State::trailer_value:
    case State::trailer_lf:
    case State::end_lf: return step_trailer(c);
    default: return step_extension(c);
  }
}

const char* ChunkDecoder::step_size(char c) noexcept {
  const int digit = hex_value(c);
  if (digit >= 0) {
    if (digits_ == size_digits_max) return "chunk size has too many digits";
    if (digits_ != 0 && left_ >> 59 != 0) return "chunk size is too large";
    left_ = (digits_ == 0 ? 0 : left_ << 4) | static_cast<std::uint64_t>(digit);
    ++digits_;
    return nullptr;
  }
  if (digits_ == 0) return "chunk size is not a hexadecimal number";
  if (c == '\r') {
    state_ = State::size_lf;
  } else if (c == ';') {
    ++overhead_;
    state_ = State::extension_name;
  } else {
    return "chunk size is not a hexadecimal number";
  }
  return nullptr;
}

const char* ChunkDecoder::step_extension(char c) noexcept {
  constexpr const char* malformed = "malformed chunk extension";
  if (++overhead_ > extension_bytes_max) return "chunk extensions too large";
  const bool may_end =
      state_ == State::extension_named || state_ == State::extension_token || state_ == State::quoted_end;
  if (may_end && c == '\r') {
    state_ = State::size_lf;
    return nullptr;
  }
  if (may_end && c == ';') {
    state_ = State::extension_name;
    return nullptr;
  }
  switch (state_) {
    case State::extension_name:
    case State::extension_named:
      if (state_ == State::extension_named && c == '=') {
        state_ = State::extension_value;
        return nullptr;
      }
      state_ = State::extension_named;
      return is(c, bytes::token) ? nullptr : malformed;
    case State::extension_value:
      if (c == '"') {
        state_ = State::quoted;
        return nullptr;
      }
      state_ = State::extension_token;
      return is(c, bytes::token) ? nullptr : malformed;
    case State::extension_token: return is(c, bytes::token) ? nullptr : malformed;
    case State::quoted:
      if (c == '"') state_ = State::quoted_end;
      if (c == '\\') state_ = State::quoted_pair;
      return c == '"' || c == '\\' || is(c, bytes::value) ? nullptr : malformed;
    case State::quoted_pair: state_ = State::quoted; return is(c, bytes::value) ? nullptr : malformed;
    default: return malformed;
  }
}

const char* ChunkDecoder::step_trailer(char c) noexcept {
  if (++overhead_ > trailer_bytes_max) return "trailers too large";
  switch (state_) {
    case State::trailer_start:
      if (c == '\r') {
        state_ = State::end_lf;
        return nullptr;
      }
      name_at_ = 0;
      forbidden_ = all_forbidden;
      state_ = State::trailer_name;
      if (!is(c, bytes::token)) return "malformed trailer name";
      [[fallthrough]];
    case State::trailer_name:
      if (c == ':') {
        if (one_ends_at(forbidden_, name_at_)) return "forbidden trailer";
        state_ = State::trailer_value;
        return nullptr;
      }
      if (forbidden_ != 0) forbidden_ = narrowed(forbidden_, name_at_++, c);
      return is(c, bytes::token) ? nullptr : "malformed trailer name";
    case State::trailer_value:
      if (c == '\r') state_ = State::trailer_lf;
      return c == '\r' || is(c, bytes::value) ? nullptr : "control byte in a trailer";
    case State::trailer_lf: state_ = State::trailer_start; return c == '\n' ? nullptr : "CR without LF in the trailers";
    default: state_ = State::done; return c == '\n' ? nullptr : "CR without LF after the trailers";
  }
}

std::size_t encode_chunk_line(std::uint64_t size, char* out) noexcept {
  std::size_t digits = 1;
  for (std::uint64_t rest = size >> 4; rest != 0; rest >>= 4) ++digits;
  for (std::size_t i = digits; i-- > 0; size >>= 4) out[i] = "0123456789abcdef"[size & 15];
  out[digits] = '\r';
  out[digits + 1] = '\n';
  return digits + 2;
}

}  // namespace narwhal::protocol
