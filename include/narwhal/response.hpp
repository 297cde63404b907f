// Response: what an app answers.
//   text, html, json, bytes   the whole body at once
//   file                      sent by the kernel (sendfile)
//   stream                    a callable that writes pieces; it runs after every middleware has returned
//   deferred                  a callable that keeps the Deferred, so that any thread may answer later
// Ownership  it moves and does not copy, because it may own a descriptor. A Text body may be borrowed or owned: see
//            Text.
// Errors     status and fields are checked when the response is sent: what may not go on the wire becomes a 500.
// Threads    one at a time.
// Units      sizes and offsets are in bytes.
#pragma once

#include <narwhal/deferred.hpp>
#include <narwhal/headers.hpp>
#include <narwhal/writer.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

namespace narwhal {

// A part of an open file: `size` bytes from `offset`. Owns the descriptor and closes it.
class FilePart {
 public:
  FilePart(int owned_fd, std::int64_t offset, std::int64_t size) noexcept
      : fd_(owned_fd), offset_(offset), size_(size) {}
  FilePart(FilePart&& other) noexcept : fd_(std::exchange(other.fd_, -1)), offset_(other.offset_), size_(other.size_) {}
  FilePart& operator=(FilePart&& other) noexcept {
    std::swap(fd_, other.fd_);
    offset_ = other.offset_;
    size_ = other.size_;
    return *this;
  }
  ~FilePart() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const noexcept { return fd_; }
  std::int64_t offset() const noexcept { return offset_; }
  std::int64_t size() const noexcept { return size_; }

 private:
  int fd_;
  std::int64_t offset_, size_;
};

class Response {
 public:
  using Stream = std::function<void(Writer&)>;
  using Later = std::function<void(Deferred)>;

  Response() = default;  // 200, no body
  explicit Response(int status) noexcept : status_(status) {}

  static Response text(Text body, int status = 200) { return {status, "text/plain; charset=utf-8", std::move(body)}; }
  static Response html(Text body, int status = 200) { return {status, "text/html; charset=utf-8", std::move(body)}; }
  static Response json(Text body, int status = 200) { return {status, "application/json", std::move(body)}; }
  static Response bytes(Text body, Text type = "application/octet-stream") {
    return {200, std::move(type), std::move(body)};
  }
  // A 404 response when there is no regular file of this name. Throws std::system_error when it cannot be opened for
  // another reason.
  static Response file(const std::string& path, Text type = "application/octet-stream");
  static Response file(FilePart part, Text type = "application/octet-stream") {
    return {200, std::move(type), std::move(part)};
  }
  // `size` is the body's, or -1 when that is not known. The head is sent with the first piece.
  static Response stream(Stream pieces, Text type = "application/octet-stream", std::int64_t size = -1) {
    return {200, std::move(type), Streamed{std::move(pieces), size}};
  }
  // `later` is called on the handler thread, after every middleware. Status and headers are given through the Deferred;
  // those of this Response are not sent.
  static Response deferred(Later later) { return {200, Text(), std::move(later)}; }
  static Response redirect(Text location, int status = 302) {
    Response response(status);
    response.headers_.add("Location", std::move(location));
    return response;
  }

  Response& status(int status) & noexcept {
    status_ = status;
    return *this;
  }
  Response&& status(int status) && noexcept { return std::move(this->status(status)); }
  // Adds a field; headers().set() replaces. A Content-Type given here takes the place of the body's.
  Response& header(Text name, Text value) & {
    headers_.add(std::move(name), std::move(value));
    return *this;
  }
  Response&& header(Text name, Text value) && { return std::move(header(std::move(name), std::move(value))); }

  int status() const noexcept { return status_; }
  std::string_view type() const noexcept { return headers_.find("Content-Type").value_or(type_.view()); }
  Headers& headers() noexcept { return headers_; }
  const Headers& headers() const noexcept { return headers_; }
  // The body of text, html, json and bytes; empty for the other kinds.
  std::string_view body() const noexcept {
    const Text* text = std::get_if<Text>(&body_);
    return text == nullptr ? std::string_view() : text->view();
  }
  bool is_deferred() const noexcept { return std::holds_alternative<Later>(body_); }

  struct Streamed {
    Stream pieces;
    std::int64_t size;
  };
  using Body = std::variant<Text, FilePart, Streamed, Later>;
  Body& content() noexcept { return body_; }

 private:
  Response(int status, Text type, Body body) : status_(status), type_(std::move(type)), body_(std::move(body)) {}

  int status_ = 200;
  Text type_;
  Headers headers_;
  Body body_;
};

inline Response Response::file(const std::string& path, Text type) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return text("Not Found\n", 404);
    throw std::system_error(errno, std::generic_category(), "open " + path);
  }
  struct stat facts {};
  const bool regular = ::fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
  FilePart whole(fd, 0, facts.st_size);
  if (!regular) return text("Not Found\n", 404);
  return file(std::move(whole), std::move(type));
}

}  // namespace narwhal
