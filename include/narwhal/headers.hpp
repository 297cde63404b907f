// Header fields, in order. Names compare without case; a name may occur several times.
//   RequestHeaders  what the client sent
//   Headers         what a response sends
// Ownership  RequestHeaders are views, valid as long as the request. Headers borrow literals and copy or own other
//            strings (see Text).
// Errors     Headers check nothing: the server refuses a field that may not go on the wire when the response is sent.
// Threads    RequestHeaders: any. Headers: one at a time.
#pragma once

#include <narwhal/text.hpp>

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace narwhal {

struct HeaderView {
  std::string_view name, value;
};

class RequestHeaders {
 public:
  class Iterator {
   public:
    using value_type = HeaderView;
    using difference_type = std::ptrdiff_t;
    Iterator() noexcept = default;
    explicit Iterator(const narwhal_field* at) noexcept : at_(at) {}
    HeaderView operator*() const noexcept { return {view_of(at_->name), view_of(at_->value)}; }
    Iterator& operator++() noexcept {
      ++at_;
      return *this;
    }
    Iterator operator++(int) noexcept { return Iterator(at_++); }
    bool operator==(const Iterator&) const noexcept = default;

   private:
    const narwhal_field* at_ = nullptr;
  };

  RequestHeaders(const narwhal_field* fields, std::size_t count) noexcept : fields_(fields), count_(count) {}
  std::size_t size() const noexcept { return count_; }
  Iterator begin() const noexcept { return Iterator(fields_); }
  Iterator end() const noexcept { return Iterator(fields_ + count_); }
  // The first field's value of this name.
  std::optional<std::string_view> find(std::string_view name) const noexcept {
    for (const HeaderView header : *this) {
      if (equal_ignoring_case(header.name, name)) return header.value;
    }
    return std::nullopt;
  }
  std::vector<std::string_view> all(std::string_view name) const {
    std::vector<std::string_view> values;
    for (const HeaderView header : *this) {
      if (equal_ignoring_case(header.name, name)) values.push_back(header.value);
    }
    return values;
  }

 private:
  const narwhal_field* fields_;
  std::size_t count_;
};

class Headers {
 public:
  struct Header {
    Text name, value;
  };

  Headers& add(Text name, Text value) {
    headers_.push_back({std::move(name), std::move(value)});
    return *this;
  }
  // Replaces all fields of this name.
  Headers& set(Text name, Text value) {
    remove(name.view());
    return add(std::move(name), std::move(value));
  }
  // Returns how many there were.
  std::size_t remove(std::string_view name) {
    return std::erase_if(headers_, [&](const Header& header) { return equal_ignoring_case(header.name.view(), name); });
  }
  std::optional<std::string_view> find(std::string_view name) const noexcept {
    for (const Header& header : headers_) {
      if (equal_ignoring_case(header.name.view(), name)) return header.value.view();
    }
    return std::nullopt;
  }
  bool contains(std::string_view name) const noexcept { return find(name).has_value(); }
  std::size_t size() const noexcept { return headers_.size(); }
  auto begin() const noexcept { return headers_.begin(); }
  auto end() const noexcept { return headers_.end(); }

 private:
  std::vector<Header> headers_;
};

}  // namespace narwhal
