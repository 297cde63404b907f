#include "core/recent_problems.hpp"

#include <ctime>

namespace narwhal {
namespace {

constexpr std::size_t text_bytes_max = 500;

std::size_t kept = 0;

// Never destroyed: the last lines of a process are written while its statics are.
std::deque<Problem>& problems() {
  static auto* const only = new std::deque<Problem>;
  return *only;
}

const char* level_name(LogLevel level) {
  if (level == LogLevel::warning) return "warning";
  return level == LogLevel::error ? "error" : "critical";
}

}  // namespace

void remember_problems(std::size_t count) noexcept { kept = count; }

void note_problem(LogLevel level, std::string_view text) noexcept try {
  if (kept == 0 || level < LogLevel::warning) return;
  problems().push_back({std::time(nullptr), level_name(level), std::string(text.substr(0, text_bytes_max))});
  while (problems().size() > kept) problems().pop_front();
} catch (...) {
  // The line is in the log all the same.
}

const std::deque<Problem>& recent_problems() noexcept { return problems(); }

}  // namespace narwhal
