// Daemon: this process as --daemon leaves it: without the terminal, session and standard streams of its caller.
// Caller   the process that was started. It waits until the start is over, shows what the start writes to standard
//          output and error, and ends with the server's exit code; or with 0 as soon as the server serves.
// Output   one standard stream or the other is kept with enable_stdio_inheritance, unless it is a terminal. What is not
//          kept goes to /dev/null after the start.
// Blocks   never, apart from leave_caller().
#pragma once

#include <string>
#include <vector>

#include "core/config.hpp"
#include "core/fd.hpp"

namespace narwhal::server {

struct KeptStreams {
  bool output = false, error = false;
};
// Which standard streams of this process, which has a caller, a daemon would keep.
KeptStreams kept_streams(const Config& config);
// What would be lost: a line for each log that goes to a stream that a daemon does not keep.
std::vector<std::string> lost_logs(const Config& config, KeptStreams kept);

class Daemon {
 public:
  // Returns in a new process. The one that called it ends in it. Throws StartupError.
  static Daemon leave_caller(const Config& config);

  KeptStreams kept() const { return kept_; }
  // The server serves.
  void started();
  // It has ended. If it has not served, the caller ends with this code.
  void ended(int exit_code);

  // Readable when settle() has something to do; -1: there is nothing left to do.
  int descriptor() const { return caller_ ? caller_.get() : output_.get(); }
  enum class Event { none, start_was_interrupted };
  // Interrupted: the caller was ended before the server served.
  Event settle();

 private:
  Daemon(KeptStreams kept, Fd caller, Fd output)
      : kept_(kept), caller_(std::move(caller)), output_(std::move(output)) {}

  KeptStreams kept_;
  Fd caller_;  // a socket, until the caller has ended
  // The pipe of start_output, or none. The caller reads it; after its end this process does, because something that the
  // start has left behind, such as a process of the application's, may still write to it.
  Fd output_;
  bool started_ = false;
};

}  // namespace narwhal::server
