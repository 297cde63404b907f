// NARWHAL_CHECK: our own promises. What a peer, a plugin or a child says never reaches one.
#pragma once

namespace narwhal {
[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;
}

#define NARWHAL_CHECK(expression) \
  ((expression) ? static_cast<void>(0) : ::narwhal::check_failed(#expression, __FILE__, __LINE__))
