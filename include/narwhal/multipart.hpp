// Forms with files: multipart/form-data, read part by part while it arrives.
//   narwhal::MultipartReader parts(request);
//   while (const narwhal::Part* part = parts.next()) {
//     if (part->file_name) parts.save(fd);          // or read() it piece by piece
//     else fields[part->name] = parts.text();
//   }
// Memory     one buffer of 32 KiB and one part's head, whatever the size of the body. With stream_body() for the route
//            the parts come while the client sends them; else the server has collected the body before.
// Ownership  a Part is valid until next(). The reader keeps a copy of the request.
// Errors     HttpError 415 for another type of body, 400 for one that is not well formed, 413 beyond a limit; what
//            Request::read() throws; std::system_error when save() cannot write.
// Threads    the handler's.
// Units      sizes are in bytes.
// Source     RFC 7578 (form-data), RFC 2046 5.1 (boundaries), WHATWG HTML 4.10.22.8 (names with quotes in them).
#pragma once

#include <narwhal/callable.hpp>
#include <narwhal/field_parameters.hpp>
#include <narwhal/request.hpp>

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace narwhal {

struct MultipartLimits {
  std::size_t parts = 100;
  std::size_t head_bytes = 8 * 1024;                      // of one part's fields
  std::size_t text_bytes = 256 * 1024;                    // of a part that text() reads
  std::uint64_t part_bytes = std::uint64_t{64} << 20;     // of any part
  std::uint64_t total_bytes = std::uint64_t{1024} << 20;  // of all parts
};

struct Part {
  std::string name;
  // As the client sent it: for showing. It may be a path, or try to be one: never open a file by it.
  std::optional<std::string> file_name;
  std::string type;  // Content-Type; empty when there is none, which means text/plain
  std::vector<std::pair<std::string, std::string>> fields;
};

class MultipartReader {
 public:
  // Gives the next bytes of the body; how many, 0 at its end.
  using Source = Callable<std::size_t(std::span<char>)>;

  explicit MultipartReader(const Request& request, MultipartLimits limits = {})
      : MultipartReader([request](std::span<char> room) { return request.read(room); },
                        request.header("Content-Type").value_or(""), limits) {}
  // `type` is the Content-Type field, with the boundary.
  MultipartReader(Source source, std::string_view type, MultipartLimits limits = {})
      : source_(std::move(source)), limits_(limits), delimiter_("\r\n--" + boundary_of(type)) {
    buffer_.resize(buffer_bytes);
    buffer_[0] = '\r';  // the first delimiter may be the body's first bytes
    buffer_[1] = '\n';
    end_ = 2;
  }

  // The next part; what is left of the one before is skipped. Null after the last.
  const Part* next() {
    if (state_ == State::preamble) skip(limits_.head_bytes);
    if (state_ == State::part) skip(limits_.part_bytes);
    if (state_ == State::ended || !begin_part()) return nullptr;
    return &part_;
  }
  // The next bytes of the part; how many, 0 at its end. `room` must not be empty.
  std::size_t read(std::span<char> room) {
    return state_ == State::part ? take(room.data(), room.size(), limits_.part_bytes) : 0;
  }
  // What is left of the part, at most text_bytes.
  std::string text() {
    std::string text;
    char piece[4096];
    while (const std::size_t size = read(piece)) {
      if (size > limits_.text_bytes - text.size()) throw HttpError(413, "the field '" + part_.name + "' is too long");
      text.append(piece, size);
    }
    return text;
  }
  // Writes what is left of the part to a file; returns how many bytes that were.
  std::uint64_t save(int fd) {
    std::uint64_t total = 0;
    std::vector<char> piece(buffer_bytes);
    while (const std::size_t size = read(piece)) {
      for (std::size_t written = 0; written < size;) {
        const ssize_t now = ::write(fd, piece.data() + written, size - written);
        if (now < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "an upload: write");
        written += now < 0 ? 0 : static_cast<std::size_t>(now);
      }
      total += size;
    }
    return total;
  }

 private:
  // preamble and part: bytes up to the next delimiter. head: it was taken, and the next part's head follows.
  enum class State : unsigned char { preamble, head, part, ended };
  static constexpr std::size_t buffer_bytes = 32 * 1024;

  [[noreturn]] static void refuse(const char* why) { throw HttpError(400, std::string("multipart/form-data: ") + why); }

  static std::string boundary_of(std::string_view type) {
    constexpr std::string_view wanted = "multipart/form-data";
    if (!equal_ignoring_case(detail::trim(type.substr(0, type.find(';'))), wanted)) {
      throw HttpError(415, "the body must be multipart/form-data");
    }
    const std::string boundary = parameter_of(type, "boundary").value_or("");
    if (boundary.empty() || boundary.size() > 70) refuse("the boundary must have 1 to 70 characters");
    if (boundary.find_first_of("\r\n") != boundary.npos) refuse("a boundary with a line break");
    return boundary;
  }

  std::string_view buffered() const noexcept { return {buffer_.data() + begin_, end_ - begin_}; }
  void consume(std::size_t size) noexcept { begin_ += size; }
  // Reads more, after what is buffered.
  void fill() {
    if (begin_ > 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    const std::size_t size = source_({buffer_.data() + end_, buffer_.size() - end_});
    if (size == 0) refuse("the body ends before its last boundary");
    end_ += size;
  }

  // Finds out how many of the buffered bytes come before the next delimiter, and whether it follows them.
  void look() {
    while (known_ == 0 && !at_delimiter_) {
      const std::string_view bytes = buffered();
      const std::size_t found = bytes.find(delimiter_);
      if (found != bytes.npos) {
        known_ = found;
        at_delimiter_ = true;
      } else if (bytes.size() >= delimiter_.size()) {
        known_ = bytes.size() - delimiter_.size() + 1;
      } else {
        fill();
      }
    }
  }
  // The next bytes before the delimiter, to `out` or to nowhere; 0 when it has been reached, and taken.
  std::size_t take(char* out, std::size_t room, std::uint64_t most) {
    look();
    if (known_ == 0) {
      at_delimiter_ = false;
      consume(delimiter_.size());
      state_ = State::head;
      return 0;
    }
    const std::size_t size = known_ < room ? known_ : room;
    part_bytes_ += size;
    total_bytes_ += size;
    if (part_bytes_ > most) throw HttpError(413, "a part of the form is too large");
    if (total_bytes_ > limits_.total_bytes) throw HttpError(413, "the form is too large");
    if (out != nullptr) std::memcpy(out, buffer_.data() + begin_, size);
    consume(size);
    known_ -= size;
    return size;
  }
  void skip(std::uint64_t most) {
    while (take(nullptr, buffer_bytes, most) > 0) {
    }
  }

  // The next line without its end, which must come within `most` bytes.
  std::string line(std::size_t most, const char* too_long) {
    while (true) {
      const std::string_view bytes = buffered();
      const std::size_t found = bytes.find("\r\n");
      // The last buffered byte may be the CR of a line that is just short enough.
      if (found == bytes.npos ? bytes.size() > most + 1 : found > most) throw HttpError(413, too_long);
      if (found != bytes.npos) {
        std::string text(bytes.substr(0, found));
        consume(found + 2);
        return text;
      }
      fill();
    }
  }

  // Reads the end of the delimiter's line and the part's head. False after the last part.
  bool begin_part() {
    while (buffered().size() < 2) fill();
    if (buffered().starts_with("--")) {
      state_ = State::ended;  // what follows has no meaning (RFC 2046 5.1.1)
      return false;
    }
    if (!detail::trim(line(64, "multipart/form-data: a boundary's line is too long")).empty()) {
      refuse("text after a boundary");
    }
    if (++parts_ > limits_.parts) throw HttpError(413, "the form has too many parts");
    part_ = {};
    std::size_t left = limits_.head_bytes < buffer_bytes / 2 ? limits_.head_bytes : buffer_bytes / 2;
    while (true) {
      const std::string field = line(left, "a part's head is too large");
      if (field.empty()) break;
      left -= field.size();
      add_field(field);
    }
    read_disposition();
    part_bytes_ = 0;
    state_ = State::part;
    return true;
  }
  void add_field(std::string_view field) {
    const std::size_t colon = field.find(':');
    if (colon == field.npos || colon == 0 || field.front() == ' ' || field.front() == '\t') {
      refuse("a part's head has a line that is not a field");
    }
    part_.fields.emplace_back(detail::trim(field.substr(0, colon)), detail::trim(field.substr(colon + 1)));
  }
  void read_disposition() {
    std::optional<std::string> name;
    for (const auto& [key, value] : part_.fields) {
      if (equal_ignoring_case(key, "Content-Type")) part_.type = value;
      if (!equal_ignoring_case(key, "Content-Disposition") || name) continue;
      if (!equal_ignoring_case(detail::trim(std::string_view(value).substr(0, value.find(';'))), "form-data")) continue;
      name = parameter_of(value, "name");
      part_.file_name = parameter_of(value, "filename");
    }
    if (!name) refuse("a part without a name");
    part_.name = restore(*name);
    if (part_.file_name) part_.file_name = restore(*part_.file_name);
  }
  // Browsers write a quote, CR and LF in a name as %22, %0D and %0A, and nothing else so.
  static std::string restore(const std::string& text) {
    std::string name;
    for (std::size_t at = 0; at < text.size(); ++at) {
      const int byte = detail::escaped_byte(text, at);
      const bool escaped = byte == '"' || byte == '\r' || byte == '\n';
      name += escaped ? static_cast<char>(byte) : text[at];
      if (escaped) at += 2;
    }
    return name;
  }

  Source source_;
  MultipartLimits limits_;
  std::string delimiter_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // what of the buffer is still to be read
  std::size_t known_ = 0;            // so many bytes of it come before the next delimiter
  bool at_delimiter_ = false;        // which follows directly after them
  State state_ = State::preamble;
  std::size_t parts_ = 0;
  std::uint64_t part_bytes_ = 0, total_bytes_ = 0;
  Part part_;
};

}  // namespace narwhal
