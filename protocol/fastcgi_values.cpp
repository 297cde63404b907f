#include "protocol/fastcgi_values.hpp"

#include <iterator>

namespace narwhal::protocol::fastcgi {

// True when the length is whole.
bool AskedValues::take_length(char c, std::uint32_t& length) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  if (length_bytes_left_ == 0) {
    length = byte & 0x7fu;
    if (byte < 0x80) return true;
    length_bytes_left_ = 3;
    return false;
  }
  length = length << 8 | byte;
  return --length_bytes_left_ == 0;
}

void AskedValues::end_name() noexcept {
  const std::string_view name(name_, name_bytes_);
  for (std::size_t each = 0; each < std::size(value_names); ++each) {
    if (!long_name_ && name == value_names[each]) asked_ |= 1u << each;
  }
  name_bytes_ = 0;
  long_name_ = false;
  state_ = value_left_ == 0 ? State::name_length : State::value;
}

void AskedValues::take_name(char c) noexcept {
  if (name_bytes_ < value_name_bytes_max) {
    name_[name_bytes_++] = c;
  } else {
    long_name_ = true;
  }
  if (--name_left_ == 0) end_name();
}

void AskedValues::feed(std::string_view bytes) noexcept {
  for (const char c : bytes) {
    switch (state_) {
      case State::name_length:
        if (take_length(c, name_left_)) state_ = State::value_length;
        break;
      case State::value_length:
        if (!take_length(c, value_left_)) break;
        state_ = State::name;
        if (name_left_ == 0) end_name();
        break;
      case State::name: take_name(c); break;
      case State::value:
        if (--value_left_ == 0) state_ = State::name_length;
        break;
    }
  }
}

}  // namespace narwhal::protocol::fastcgi
