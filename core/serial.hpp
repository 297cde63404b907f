// Values as bytes, for a process that executes another program of the same build: core/seat_bytes.hpp.
// Both sides name the same values in the same order. What is not a number, text or container has a function
// `template <class Archive, class T> void serialize(Archive&, T&)` that names its parts.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace narwhal {

class ByteWriter {
 public:
  template <class... Values>
  void operator()(const Values&... values) {
    (write(values), ...);
  }
  std::string take() { return std::move(bytes_); }

 private:
  template <class T>
  void write(const T& value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
      bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    } else {
      serialize(*this, value);
    }
  }
  template <class Rep, class Period>
  void write(std::chrono::duration<Rep, Period> value) {
    write(value.count());
  }
  template <class Clock, class Duration>
  void write(std::chrono::time_point<Clock, Duration> value) {
    write(value.time_since_epoch());
  }
  template <class T, std::size_t size>
  void write(const std::array<T, size>& values) {
    for (const T& value : values) write(value);
  }
  void write(const std::string& text) {
    write(text.size());
    bytes_ += text;
  }
  template <class T>
  void write(const std::vector<T>& values) {
    write(values.size());
    for (const T& value : values) write(value);
  }
  template <class T>
  void write(const std::optional<T>& value) {
    write(value.has_value());
    if (value) write(*value);
  }
  template <class First, class Second>
  void write(const std::pair<First, Second>& pair) {
    (*this)(pair.first, pair.second);
  }

  std::string bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : left_(bytes) {}

  template <class... Values>
  void operator()(Values&... values) {
    (read(values), ...);
  }
  // Every value was there, and nothing is left.
  bool is_complete() const { return !is_short_ && left_.empty(); }

 private:
  std::string_view take(std::size_t size) {
    is_short_ = is_short_ || size > left_.size();
    if (is_short_) return {};
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(size);
    return taken;
  }
  template <class T>
  void read(T& value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
      const std::string_view bytes = take(sizeof value);
      if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof value);
    } else {
      serialize(*this, value);
    }
  }
  template <class Rep, class Period>
  void read(std::chrono::duration<Rep, Period>& value) {
    Rep count{};
    read(count);
    value = std::chrono::duration<Rep, Period>(count);
  }
  template <class Clock, class Duration>
  void read(std::chrono::time_point<Clock, Duration>& value) {
    Duration since{};
    read(since);
    value = std::chrono::time_point<Clock, Duration>(since);
  }
  template <class T, std::size_t size>
  void read(std::array<T, size>& values) {
    for (T& value : values) read(value);
  }
  void read(std::string& text) {
    std::size_t size = 0;
    read(size);
    text = take(size);
  }
  template <class T>
  void read(std::vector<T>& values) {
    std::size_t size = 0;
    read(size);
    values.clear();
    for (std::size_t index = 0; index < size && !is_short_; ++index) read(values.emplace_back());
  }
  template <class T>
  void read(std::optional<T>& value) {
    bool is_set = false;
    read(is_set);
    value.reset();
    if (is_set && !is_short_) read(value.emplace());
  }
  template <class First, class Second>
  void read(std::pair<First, Second>& pair) {
    (*this)(pair.first, pair.second);
  }

  std::string_view left_;
  bool is_short_ = false;
};

}  // namespace narwhal
