// Writer: sends the pieces of a streamed response. The head is sent with the first piece, so that an error before it
// still becomes a 500.
// Ownership  the server copies each piece before the call returns, except where a function says otherwise, and
//            duplicates the descriptor of send_file().
// Errors     Gone when the client has left; std::length_error when more bytes come than were declared;
//            std::invalid_argument when status or fields may not go on the wire; std::runtime_error otherwise.
// Threads    the handler's. Hold no lock over a call that waits (write(), write_owned(), send_file()) that a function on
//            the event loop takes too, such as drain() or a callback of on_cancel(): it would stop all requests.
// Units      sizes and offsets are in bytes.
#pragma once

#include <narwhal/plugin.h>
#include <narwhal/text.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace narwhal {

class Response;

namespace detail {
// Sends the head of `response`, whose body has `size` bytes, or an unknown length (-1).
int start(const narwhal_host* host, narwhal_exchange* exchange, const Response& response, std::int64_t size);
}  // namespace detail

class Writer {
 public:
  // Made for a stream by send_response.hpp. `head` must outlive the writer.
  Writer(const narwhal_host* host, narwhal_exchange* exchange, const Response& head, std::int64_t size) noexcept
      : host_(host), exchange_(exchange), head_(&head), size_(size) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Waits while the client is slow.
  void write(std::string_view piece) {
    start();
    check(host_->write(exchange_, narwhal_bytes_of(piece.data(), piece.size()), 0));
  }
  // The same without a copy, which pays from a few KiB on: the server frees the string, or leaves the bytes alone.
  void write_owned(std::string piece);
  void write(Forever piece);
  // Never waits: false, and nothing is taken, while the client is too slow.
  bool try_write(std::string_view piece) {
    start();
    const int code = host_->write(exchange_, narwhal_bytes_of(piece.data(), piece.size()), NARWHAL_NOWAIT);
    if (code == NARWHAL_AGAIN) return false;
    check(code);
    return true;
  }
  // `size` bytes of an open regular file from `offset`, sent by the kernel.
  void send_file(int fd, std::int64_t offset, std::int64_t size) {
    start();
    check(host_->send_file(exchange_, fd, offset, size));
  }
  // A field after the body. It is sent when the stream's size is unknown and the client accepts trailers (plugin.h,
  // trailers()), else dropped. Announce it in the Response: .header("Trailer", name).
  void trailer(std::string_view name, std::string_view value);
  // Sends the head now, before the first piece.
  void start() {
    if (started_) return;
    check(detail::start(host_, exchange_, *head_, size_));
    started_ = true;
  }
  // Sends what was written so far; the handler continues.
  void flush() {
    if (NARWHAL_HAS(host_, narwhal_host, flush)) host_->flush(exchange_);
  }
  bool started() const noexcept { return started_; }  // the head has been sent
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
