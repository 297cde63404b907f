// Response: what an app answers.
//   text, html, json, bytes   the whole body at once
//   file                      sent by the kernel (sendfile)
//   stream                    a callable that writes pieces; it runs after every middleware has returned
//   deferred                  a callable that keeps the Deferred, so that any thread may answer later
// Ownership  it moves and does not copy, because it may own a descriptor or a move-only callable. Literals are borrowed,
//            other strings are copied or owned; lend() and forever() spare the copy of a large one: see Text.
// Errors     status and fields are checked when the response is sent: what may not go on the wire becomes a 500.
// Threads    one at a time.
// Units      sizes and offsets are in bytes.
#pragma once

#include <narwhal/callable.hpp>
#include <narwhal/deferred.hpp>
#include <narwhal/headers.hpp>
#include <narwhal/writer.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace narwhal {

class Response;

namespace detail {
int respond(const narwhal_host* host, narwhal_exchange* exchange, Response& response);
}  // namespace detail

// A part of an open file: `size` bytes from `offset`. Owns the descriptor and closes it.
class FilePart {
 public:
  FilePart() noexcept : FilePart(-1, 0, 0) {}
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
  // The whole of a regular file; nothing when there is none of this name. Throws std::runtime_error when it cannot be
  // opened for another reason.
  static std::optional<FilePart> open(const std::string& path);
  // The same file, another part of it.
  FilePart part(std::int64_t offset, std::int64_t size) && noexcept {
    return FilePart(std::exchange(fd_, -1), offset, size);
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
  using Stream = Callable<void(Writer&)>;
  using Later = Callable<void(Deferred)>;

  Response() = default;  // 200, no body
  explicit Response(int status) noexcept : status_(status) {}

  static Response text(Text body, int status = 200) { return {status, "text/plain; charset=utf-8", std::move(body)}; }
  static Response html(Text body, int status = 200) { return {status, "text/html; charset=utf-8", std::move(body)}; }
  static Response json(Text body, int status = 200) { return {status, "application/json", std::move(body)}; }
  static Response bytes(Text body, Text type = "application/octet-stream") {
    return {200, std::move(type), std::move(body)};
  }
  // The whole file, whatever the request's conditions and ranges: files.hpp answers those. A 404 response when there is
  // no regular file of this name. Throws std::runtime_error when it cannot be opened for another reason.
  static Response file(const std::string& path, Text type = "application/octet-stream");
  static Response file(FilePart part, Text type = "application/octet-stream") {
    Response response(200, std::move(type), Kind::file);
    response.file_ = std::move(part);
    return response;
  }
  // `size` is the body's, or -1 when that is not known. The head is sent with the first piece.
  static Response stream(Stream pieces, Text type = "application/octet-stream", std::int64_t size = -1) {
    Response response(200, std::move(type), Kind::stream);
    response.stream_ = std::move(pieces);
    response.stream_size_ = size;
    return response;
  }
  // `later` is called on the handler thread, after every middleware. Status and headers are given through the Deferred;
  // those of this Response are not sent.
  static Response deferred(Later later) {
    Response response(200, Text(), Kind::later);
    response.later_ = std::move(later);
    return response;
  }
  // What an HttpError asks for.
  [[gnu::cold]] static Response error(const HttpError& error) {
    const bool known = error.status() >= 400 && error.status() <= 599;
    std::string body(error.text());
    if (!body.ends_with('\n')) body += '\n';
    Response response = text(std::move(body), known ? error.status() : 500);
    for (const auto& [name, value] : error.headers()) response.headers_.add(name, value);
    return response;
  }
  // `location` is sent as it is. redirect_to() in url.hpp leads to a path below the app's own prefix.
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

  // The reason phrase in the status line, in place of the standard one.
  Response& reason(Text phrase) & {
    reason_ = std::move(phrase);
    return *this;
  }
  Response&& reason(Text phrase) && { return std::move(reason(std::move(phrase))); }

  int status() const noexcept { return status_; }
  std::string_view reason() const noexcept { return reason_.view(); }
  std::string_view type() const noexcept { return headers_.find("Content-Type").value_or(type_.view()); }
  Headers& headers() noexcept { return headers_; }
  const Headers& headers() const noexcept { return headers_; }
  // The body of text, html, json and bytes; empty for the other kinds.
  std::string_view body() const noexcept { return text_.view(); }
  bool is_deferred() const noexcept { return kind_ == Kind::later; }

 private:
  friend int detail::respond(const narwhal_host*, narwhal_exchange*, Response&);
  enum class Kind : unsigned char { text, file, stream, later };

  Response(int status, Text&& type, Kind kind) : status_(status), kind_(kind), type_(std::move(type)) {}
  Response(int status, Text&& type, Text&& body) : status_(status), type_(std::move(type)), text_(std::move(body)) {}

  int status_ = 200;
  Kind kind_ = Kind::text;
  Text reason_, type_;
  Headers headers_;
  // One of these, by the kind. A std::variant would take a compiler longer than all else in this header.
  Text text_;
  FilePart file_;
  Stream stream_;
  std::int64_t stream_size_ = -1;
  Later later_;
};

inline std::optional<FilePart> FilePart::open(const std::string& path) {
  // A FIFO or a device must not make the handler wait.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    const bool is_absent =
        errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG || errno == ELOOP || errno == ENXIO;
    if (is_absent) return std::nullopt;
    throw std::runtime_error("open " + path + ": " + std::strerror(errno));
  }
  struct stat facts {};
  const bool regular = ::fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
  std::optional<FilePart> whole(std::in_place, fd, 0, facts.st_size);
  if (!regular) whole.reset();
  return whole;
}

inline Response Response::file(const std::string& path, Text type) {
  std::optional<FilePart> whole = FilePart::open(path);
  if (!whole) return text("Not Found\n", 404);
  return file(std::move(*whole), std::move(type));
}

}  // namespace narwhal
