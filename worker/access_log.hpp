// The access log: Gunicorn's format and atoms, or JSON; compiled once, written a batch at a time.
// Safety   every value is escaped: no client can end a line or a quoted value.
// Threads  the holder of the baton.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/access_format.hpp"
#include "core/clock.hpp"
#include "core/fd.hpp"
#include "core/result.hpp"
#include "worker/access_values.hpp"

namespace narwhal::worker {

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
  void add_line(const Exchange& exchange, const Answered& answered, Instant now);
  void add_atom(const AccessPiece& piece, const Exchange& exchange, const Answered& answered, Instant now);
  void add_escaped(std::string_view value);
  void add_time();

  int fd_ = -1;
  AccessFormat format_;
  std::string lines_;
  std::int64_t time_second_ = -1;
  std::string time_text_;
};

}  // namespace narwhal::worker
