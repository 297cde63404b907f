// The names that a web server asks for by GET_VALUES, in any pieces: bytes in, one bit for each name that is known.
// Wire     pairs of a length for the name, one for the value, the name, the value. A length is one byte below 128, or four
//          bytes with the highest bit set.
// Errors   whole() is false where the content ends within a pair. Never throws. No allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/fastcgi_records.hpp"

namespace narwhal::protocol::fastcgi {

class AskedValues {
 public:
  void feed(std::string_view bytes) noexcept;
  bool whole() const noexcept { return state_ == State::name_length && length_bytes_left_ == 0; }
  unsigned asked() const noexcept { return asked_; }  // bits as encode_values_result() takes them

 private:
  enum class State : std::uint8_t { name_length, value_length, name, value };
  bool take_length(char c, std::uint32_t& length) noexcept;
  void take_name(char c) noexcept;
  void end_name() noexcept;

  State state_ = State::name_length;
  std::uint8_t length_bytes_left_ = 0;  // of a length of four bytes that has begun
  std::uint8_t name_bytes_ = 0;         // of the name, in name_
  unsigned asked_ = 0;
  std::uint32_t name_left_ = 0, value_left_ = 0;
  bool long_name_ = false;  // longer than any that is known
  char name_[value_name_bytes_max];
};

}  // namespace narwhal::protocol::fastcgi
