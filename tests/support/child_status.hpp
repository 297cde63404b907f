// Runs a function in a child process, waits for its end, and returns how it ended.
#pragma once

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <functional>

#include "core/child.hpp"
#include "core/result.hpp"

namespace narwhal {

// As waitpid() gives it.
inline int status_of(Child child) {
  int status = -1;
  REQUIRE(::waitpid(child.pid(), &status, 0) == child.pid());
  child.reaped();
  return status;
}
inline int status_of(const std::function<int()>& body) { return status_of(or_throw(fork_child(body))); }

// -1 when a signal ended it.
inline int exit_code_of(const std::function<int()>& body) {
  const int status = status_of(body);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace narwhal
