#include "core/check.hpp"

#include <cstdlib>

#include "core/log.hpp"

namespace narwhal {

void check_failed(const char* expression, const char* file, int line) noexcept {
  try {
    log::critical("Assertion failed: {} ({}:{})", expression, file, line);
  } catch (...) {
    // Formatting needs memory. It is better to abort without the line than to continue.
  }
  std::abort();
}

}  // namespace narwhal
