// Body: a request's body, wherever it is: in the connection's buffer, in memory, or in an unlinked file.
// Ownership  the view is valid until clear().
// Errors     a full disk or memory is a value: the client gets 5xx, the worker goes on.
// Threads    the loop fills it; afterwards the handler's thread has it for itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/fd.hpp"
#include "core/result.hpp"

namespace narwhal::worker {

class Body {
 public:
  Body() = default;
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;
  ~Body() { clear(); }

  // All of it is in memory that lives as long as the exchange: nothing is copied.
  void borrow(std::string_view bytes) noexcept { borrowed_ = bytes, size_ = bytes.size(); }
  // More than memory_max bytes go to an unlinked file in `folder`.
  Result<Done> append(std::string_view bytes, std::size_t memory_max, const std::string& folder);

  std::uint64_t size() const noexcept { return size_; }
  int fd() const noexcept { return file_.get(); }  // -1: in memory
  Result<std::string_view> view();                 // maps the file when there is one
  // Copies from the place where the last read() ended; 0 at the end, -1 with errno.
  std::int64_t read(char* out, std::size_t size);
  void clear() noexcept;

 private:
  Result<Done> spool(const std::string& folder);

  std::string_view borrowed_;
  std::string memory_;
  Fd file_;
  std::uint64_t size_ = 0, read_ = 0;
  void* map_ = nullptr;
  std::size_t map_size_ = 0;
};

}  // namespace narwhal::worker
