#include "core/start_output.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace narwhal::start_output {
namespace {

Pipe the_pipe;

}  // namespace

Result<Done> begin(const Fd& pipe, const std::vector<int>& streams) {
  struct stat facts {};
  if (::fstat(pipe.get(), &facts) != 0) return errno_error("fstat of a pipe");
  for (const int stream : streams) {
    if (::dup2(pipe.get(), stream) < 0) return errno_error("redirect standard output and error");
  }
  the_pipe = {facts.st_dev, facts.st_ino};
  return Done{};
}

Pipe pipe() noexcept { return the_pipe; }
void resume(Pipe pipe) noexcept { the_pipe = pipe; }

// A stream may have become the error log since: capture_output.
bool has(int stream) noexcept {
  struct stat facts {};
  return the_pipe.inode != 0 && ::fstat(stream, &facts) == 0 && S_ISFIFO(facts.st_mode) &&
         facts.st_ino == the_pipe.inode && facts.st_dev == the_pipe.device;
}

void end() noexcept {
  if (the_pipe.inode == 0) return;
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    if (null && has(stream)) ::dup2(null.get(), stream);
  }
}

}  // namespace narwhal::start_output
