// Writer: the pieces of a streamed response, on the handler thread.
// The head goes out with the first piece, so that what fails before it still gets a proper 500.
// Errors  Gone when the client has left; std::length_error when more comes than was declared;
//         std::invalid_argument when status or headers may not go on the wire.
#pragma once

#include <narwhal/plugin.h>

#include <cstdint>
#include <stdexcept>
#include <string_view>

namespace narwhal {

class Response;

namespace detail {
// Sends the head of `response`, whose body is of `size` bytes, or of unknown length (-1).
int start(const narwhal_host* host, narwhal_exchange* exchange, const Response& response, std::int64_t size);
}  // namespace detail

class Writer {
 public:
  // The line makes these. `head` outlives the writer.
  Writer(const narwhal_host* host, narwhal_exchange* exchange, const Response& head, std::int64_t size) noexcept
      : host_(host), exchange_(exchange), head_(&head), size_(size) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Waits while the client is slow.
  void write(std::string_view piece) {
    start();
    check(host_->write(exchange_, narwhal_bytes_of(piece.data(), piece.size()), 0));
  }
  // False, having taken nothing, when it would have to wait.
  bool try_write(std::string_view piece) {
    start();
    const int code = host_->write(exchange_, narwhal_bytes_of(piece.data(), piece.size()), NARWHAL_NOWAIT);
    if (code == NARWHAL_AGAIN) return false;
    check(code);
    return true;
  }
  void send_file(int fd, std::int64_t offset, std::int64_t size) {
    start();
    check(host_->send_file(exchange_, fd, offset, size));
  }
  // A field behind the body, for a stream of unknown size to a client that takes them (plugin.h, trailers()); else it is
  // dropped. Announce it in the Response: .header("Trailer", name).
  void trailer(std::string_view name, std::string_view value);
  // Sends the head now, before there is a piece.
  void start() {
    if (started_) return;
    check(detail::start(host_, exchange_, *head_, size_));
    started_ = true;
  }
  bool gone() const noexcept { return host_->gone(exchange_) != 0; }

 private:
  static void check(int code);

  const narwhal_host* host_;
  narwhal_exchange* exchange_;
  const Response* head_;
  std::int64_t size_;
  bool started_ = false;
};

}  // namespace narwhal
