#include "core/check.hpp"

#include <cstdlib>

#include "core/log.hpp"

namespace narwhal {

void check_failed(const char* expression, const char* file, int line) noexcept {
  try {
    log::critical("Broken promise: {} ({}:{})", expression, file, line);
  } catch (...) {
    // Formatting needs memory. Dying without the line is still better than living on.
  }
  std::abort();
}

}  // namespace narwhal
