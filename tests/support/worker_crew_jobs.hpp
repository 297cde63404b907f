// What the crew's tests share: jobs to run, and what must hold after any of them.
#pragma once

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <memory>

#include "tests/support/worker_fake_loop.hpp"

namespace narwhal::worker {

// A sanitizer's build, or a machine with other things to do, is slower by this much.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int slack = 4;
#else
constexpr int slack = 1;
#endif

inline std::chrono::milliseconds since(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(to - from);
}

inline std::unique_ptr<Job> job(std::function<int(Job&)> body) {
  auto made = std::make_unique<Job>();
  made->body = std::move(body);
  return made;
}

inline std::unique_ptr<Job> sleeper(std::chrono::milliseconds time) {
  return job([time](Job&) {
    std::this_thread::sleep_for(time);
    return 0;
  });
}

// The exit status of a child that does this; -1 when it did not exit by itself.
inline int in_a_child(const std::function<void()>& body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::alarm(20);
    body();
    ::_exit(99);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

inline void check_clean(const FakeLoop& loop) {
  CHECK(loop.broken == 0);
  CHECK(loop.too_many == 0);
  CHECK(loop.wrong_thread == 0);
}

}  // namespace narwhal::worker
