// NARWHAL_CHECK: assertions about our own code. Input from a peer, a plugin or a child must never be able to fail one.
#pragma once

namespace narwhal {
[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;
}

#define NARWHAL_CHECK(expression) \
  ((expression) ? static_cast<void>(0) : ::narwhal::check_failed(#expression, __FILE__, __LINE__))
