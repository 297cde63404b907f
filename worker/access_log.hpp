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
  // Requests go to the log process, by this socket (core/log_records.hpp).
  void open_collector(int socket, const std::string& format, bool with_all_headers);
  bool enabled() const noexcept { return fd_ >= 0; }
  // Adds the line of an answered exchange; where memory is out, none, and the error log says so.
  void add(const Exchange& exchange, const Answered& answered, Instant now) noexcept;
  // One write(2) for all lines since the last. What the log process does not take now is kept for the next flush().
  void flush() noexcept;
  // The last lines: waits a moment for the log process.
  void finish() noexcept;

 private:
  void send_records() noexcept;
  void add_line(const Exchange& exchange, const Answered& answered, Instant now);
  void add_atom(const AccessPiece& piece, const Exchange& exchange, const Answered& answered, Instant now);
  void add_escaped(std::string_view value);
  void add_time();

  int fd_ = -1;
  bool is_collected_ = false;
  std::size_t sent_ = 0;    // of lines_, to the log process
  std::uint64_t lost_ = 0;  // lines that it did not take in time, since this was last logged
  AccessFormat format_;
  std::string lines_;
  std::int64_t time_second_ = -1;
  std::string time_text_;
};

}  // namespace narwhal::worker
