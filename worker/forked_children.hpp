// A process that a plugin forks is not a worker or a template, though it begins as the copy of one.
// Signals    It shares the pipe that a signal wakes the loop by: a TERM sent to it would retire the worker. So the signals
//            that the server handles have their default action again, unless the application has a handler of its own.
// Listeners  Clients would go on connecting to them, and nobody would accept, for as long as it lives. They are closed.
// Threads    main thread.
#pragma once

#include <vector>

#include "core/seat.hpp"

namespace narwhal::worker {

// Before any code of the application runs in this template or worker. `all` may end afterwards.
void prepare_for_forked_children(const std::vector<const Listener*>& all);
// What is forked while one exists is the server's own.
class ForkOfServer {
 public:
  ForkOfServer() noexcept;
  ForkOfServer(const ForkOfServer&) = delete;
  ForkOfServer& operator=(const ForkOfServer&) = delete;
  ~ForkOfServer();
};
// Again, when the worker has set its handlers.
void note_signal_handlers() noexcept;

}  // namespace narwhal::worker
