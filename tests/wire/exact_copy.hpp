// Bytes in a heap block of just their size, so that AddressSanitizer sees a read past their end.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <string_view>

namespace narwhal::wire {

class ExactCopy {
 public:
  explicit ExactCopy(std::string_view bytes) : size_(bytes.size()), block_(new char[bytes.size()]) {
    std::copy(bytes.begin(), bytes.end(), block_.get());
  }
  std::string_view view() const { return {block_.get(), size_}; }
  std::span<char> span() { return {block_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> block_;
};

}  // namespace narwhal::wire
