// Task: what a crew runs. The crew's notes lie in it, so that to queue it cannot fail for want of memory.
#pragma once

#include "worker/list.hpp"

namespace narwhal::worker {

class Task {
 private:
  friend class Crew;
  Task* next_ = nullptr;  // while it waits for a handler, and again from its handler's end until completed()
  int result_ = 0;
  bool expected_slow_ = false;

 public:
  using List = worker::List<Task, &Task::next_>;
};

}  // namespace narwhal::worker
