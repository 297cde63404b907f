// Standard output and error of a server that was started with --daemon: until the start is over, a pipe to the process
// that was called, which shows what is written.
// Fork     children inherit it; each process ends it for itself.
// Threads  begin() before there are any; end() any.
#pragma once

#include <sys/types.h>

#include <vector>

#include "core/fd.hpp"
#include "core/result.hpp"

namespace narwhal::start_output {

// The standard streams `streams` write to `pipe` from now on.
Result<Done> begin(const Fd& pipe, const std::vector<int>& streams);
// Which pipe that is, for another program that inherits the streams.
struct Pipe {
  dev_t device = 0;
  ino_t inode = 0;  // 0: none
};
Pipe pipe() noexcept;
void resume(Pipe pipe) noexcept;
bool has(int stream) noexcept;  // `stream` is that pipe now
// Those that still are that pipe go to /dev/null from now on. Does nothing without begin().
void end() noexcept;

}  // namespace narwhal::start_output
