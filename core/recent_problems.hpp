// The last problems that a process has logged, for the status of the server: lines of level warning and above. Off until
// remember_problems(), and off again after a fork (log::begin_process()).
// Threads  one: that of the master.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "core/config.hpp"

namespace narwhal {

struct Problem {
  std::int64_t time = 0;  // Unix time
  std::string level;      // "warning", "error", "critical"
  std::string text;       // one line, cut
};

// So many from now on; 0: none.
void remember_problems(std::size_t count) noexcept;
// The log calls it with each of its lines.
void note_problem(LogLevel level, std::string_view text) noexcept;
// Oldest first.
const std::deque<Problem>& recent_problems() noexcept;

}  // namespace narwhal
