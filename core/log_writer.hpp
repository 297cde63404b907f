// LogWriter: lines of the error log to where it goes, without making anybody wait for long. What it has to drop it counts,
// and the log says so when it can be written again.
// Waits    for a reader at most 100 ms in a second; not again for one that took nothing meanwhile, until it takes a line.
// Threads  any, and signal handlers: it has no lock and takes no memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "core/clock.hpp"
#include "core/log_output.hpp"

namespace narwhal {

class LogWriter {
 public:
  enum class IfDropped : bool { count, do_not_count };

  // One or several whole lines, which count as one. False: they are dropped.
  bool put(LogOutput output, std::string_view lines, IfDropped dropped = IfDropped::count) noexcept;

  std::uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }
  std::uint64_t unreported() const noexcept { return unreported_.load(std::memory_order_relaxed); }
  // When the log is to say how many lines were dropped since it last did; never: none was.
  Instant report_due() const noexcept;
  struct Report {
    std::uint64_t lines = 0;  // 0: there is nothing to report, or another thread does it
    int reason = 0;           // errno of the last one
  };
  Report take_report(Instant now) noexcept;
  void report_failed(const Report& report, Instant now) noexcept;

  // In a child, which has dropped nothing yet.
  void begin_process() noexcept;

 private:
  bool finish_cut_line(LogOutput output) noexcept;
  bool wait_for_room(LogOutput output) noexcept;
  bool failed(bool is_cut, IfDropped dropped) noexcept;

  std::atomic<std::uint64_t> dropped_{0}, unreported_{0};
  std::atomic<Instant> report_due_{Instant{}};
  std::atomic<int> reason_{0};
  std::atomic<bool> is_failing_{false};  // the last line was dropped
  std::atomic<bool> is_cut_{false};      // after a part of it had been written
  std::atomic<bool> is_stuck_{false};    // the reader was waited for
  std::atomic<Instant> wait_began_{Instant{}};
  std::atomic<std::int64_t> waited_ms_{0};  // in the second that began then
};

// Why lines were dropped, for a log: of an errno.
const char* reason_of_drop(int reason) noexcept;

}  // namespace narwhal
