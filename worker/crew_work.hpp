// CrewWork: what a Crew does its work on. In the worker it is the Dispatcher, in tests a fake loop.
// Threads  [baton]: the thread that holds the baton, which runs the event loop. The rest: as said at each function.
#pragma once

#include "worker/task.hpp"

namespace narwhal::worker {

class CrewWork {
 public:
  virtual ~CrewWork() = default;

  // ---- [baton] ----
  enum class Turn : bool { waits, passes };
  virtual void turn(Turn) = 0;          // one turn of the loop; `waits` when there is nothing to do
  virtual Task* next_ready() = 0;       // a complete request, oldest first, or null
  virtual void put_back(Task&) = 0;     // what next_ready() returned last
  virtual void settle() = 0;            // sends what was held back; before the holder waits or gives the baton away
  virtual void prepare_to_leave() = 0;  // before finished(): may end the process if only stuck handlers are left
  virtual bool finished() const = 0;    // the loop has nothing left to do: when the crew has nothing either, it leaves
  virtual void completed(Task&, int result) = 0;  // after handle()
  virtual bool is_inline(const Task&) const = 0;
  virtual bool expected_slow(const Task&) const = 0;  // its handler takes so long that a thread switch does not matter

  // ---- other threads ----
  struct Place {
    bool with_baton;  // the thread holds the baton
    bool has_waited;  // since next_ready()
  };
  virtual int handle(Task&, unsigned member, Place place) noexcept = 0;  // the handler's thread
  virtual void wake() noexcept = 0;                                      // any thread: makes turn() return
  virtual bool thread_started(unsigned member) = 0;  // on that thread, first; false: it cannot serve
  virtual void thread_ends(unsigned member) = 0;     // on that thread, last
};

}  // namespace narwhal::worker
