// The access log: Gunicorn's format and atoms, or JSON; compiled once, written a batch at a time.
// Waits    for nobody, but for the last lines at the end. Lines that a full disk or a stopped reader does not take are kept, up
//          to 4 MiB. Then new ones are dropped and counted, and the error log says so at most every few seconds.
// Safety   every value is escaped: no client can end a line or a quoted value.
// Threads  the holder of the baton.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/access_format.hpp"
#include "core/clock.hpp"
#include "core/fd.hpp"
#include "core/log_output.hpp"
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
  bool enabled() const noexcept { return output_.fd >= 0; }
  // Adds the line of an answered exchange; where memory is out, none, and the error log says so.
  void add(const Exchange& exchange, const Answered& answered, Instant now) noexcept;
  // One write(2) for all lines since the last. What is not taken now is kept for the next flush().
  void flush() noexcept;
  // The same, soon after one that left lines to a slow reader. True: it has taken some, but not all.
  bool flush_more() noexcept;
  bool has_slow_reader() const noexcept { return is_blocked_ && !is_failing_; }
  // The last lines: waits for a moment.
  void finish() noexcept;
  std::uint64_t dropped() const noexcept { return dropped_; }  // lines, in total
  std::uint64_t unreported() const noexcept { return unreported_; }

 private:
  void send_records() noexcept;
  void send_lines() noexcept;
  bool finish_cut_line() noexcept;
  void not_taken(int reason) noexcept;
  void drop(std::uint64_t lines) noexcept;
  void drop_unsent() noexcept;
  void all_sent() noexcept;
  void report_dropped() noexcept;
  std::size_t unsent() const noexcept { return lines_.size() - sent_; }
  void add_line(const Exchange& exchange, const Answered& answered, Instant now);
  void add_atom(const AccessPiece& piece, const Exchange& exchange, const Answered& answered, Instant now);
  void add_escaped(std::string_view value);
  void add_time();

  LogOutput output_;
  bool is_collected_ = false;
  bool is_blocked_ = false;  // it took not all at the last flush()
  bool is_failing_ = false;  // and not because its reader is slow
  std::size_t sent_ = 0;     // of lines_
  int reason_ = 0;           // errno of the last write that failed
  Instant retry_due_ = unset;
  std::uint64_t dropped_ = 0, unreported_ = 0;
  Instant report_due_ = unset;
  AccessFormat format_;
  std::string lines_;
  std::int64_t time_second_ = -1;
  std::string time_text_;
};

}  // namespace narwhal::worker
