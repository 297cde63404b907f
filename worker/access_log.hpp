// The access log: Gunicorn's format and atoms, compiled once, written a batch at a time.
// Safety   every value is escaped: no client can end a line or a quoted value.
// Threads  the holder of the baton.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.hpp"
#include "core/fd.hpp"
#include "core/result.hpp"

namespace narwhal::worker {

class Exchange;

// What was answered. Where the host has answered while a handler still runs, the exchange's parts belong to the handler's
// thread.
struct Answered {
  int status;
  std::uint64_t body_bytes;
  bool own = true;  // the answer is the exchange's own: its response head and variables may be read
};

class AccessLog {
 public:
  // The descriptor stays its owner's; -1: no log.
  void open(int descriptor, const std::string& format);
  // Goes on in another file, under the same number.
  Result<Done> follow(const Fd& file);
  bool enabled() const noexcept { return fd_ >= 0; }
  // Adds the line of an answered exchange; where memory is out, none, and the error log says so.
  void add(const Exchange& exchange, const Answered& answered, Instant now) noexcept;
  // One write(2) for all lines since the last.
  void flush() noexcept;

 private:
  struct Piece {
    char atom = 0;     // 0: literal text; 'i', 'o', 'e' for {name}i and its kin
    std::string text;  // the literal, or the name
  };
  static std::vector<Piece> compile(const std::string& format);
  void add_line(const Exchange& exchange, const Answered& answered, Instant now);
  void add_atom(const Piece& piece, const Exchange& exchange, const Answered& answered, Instant now);
  void add_escaped(std::string_view value);
  void add_time();

  int fd_ = -1;
  std::vector<Piece> pieces_;
  std::string lines_;
  std::int64_t time_second_ = -1;
  std::string time_text_;
};

}  // namespace narwhal::worker
