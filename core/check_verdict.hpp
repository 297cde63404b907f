// The message by which a process that checks plugins for --check-config says what it found.
#pragma once

#include <string>

#include "core/result.hpp"

namespace narwhal {

constexpr std::size_t verdict_reason_bytes_max = 4000;      // with its mark it fits one atomic write to a pipe
constexpr char verdict_passed = '+', verdict_failed = '-';  // the reason follows the latter

inline std::string check_verdict(const Result<Done>& checked) {
  return checked ? std::string(1, verdict_passed)
                 : verdict_failed + checked.error().substr(0, verdict_reason_bytes_max);
}

}  // namespace narwhal
