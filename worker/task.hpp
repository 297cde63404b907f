// Task: what a crew runs. The crew keeps its own fields in it, so that queueing a task needs no memory and cannot fail.
#pragma once

#include "worker/list.hpp"

namespace narwhal::worker {

class Task {
 private:
  friend class Crew;
  friend class Followers;
  Task* next_ = nullptr;  // while it waits for a handler, and again from its handler's end until completed()
  int result_ = 0;
  bool expected_slow_ = false;  // while it waits

 public:
  using List = worker::List<Task, &Task::next_>;
};

}  // namespace narwhal::worker
