// Reads a gunicorn.conf.py in a separate Python process, so that a file that hangs or crashes harms no other process. If
// it has hooks of the master, the process stays for them (server/hook_process.hpp).
// Trust       the file is the operator's and may do anything; only its time and the length of its answer are limited.
// Ownership   a reading owns its process, and kills it when destroyed.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/child.hpp"
#include "core/clock.hpp"
#include "core/fd.hpp"
#include "core/result.hpp"

namespace narwhal::server {

struct PythonConfigRequest {
  std::string shown_name;                        // of the file, in errors
  std::string location;                          // absolute path, or "python:MODULE"
  std::string venv;                              // virtual environment whose Python is to run; empty: see find_python()
  std::vector<std::string_view> names;           // of the requested settings
  std::map<std::string, std::string> variables;  // the environment
  std::string directory;                         // where to read it; imports are searched here first
  std::chrono::seconds limit{0};                 // for the whole reading; 0: no limit
};

class PythonConfigReading {
 public:
  static Result<PythonConfigReading> start(const PythonConfigRequest& request);
  PythonConfigReading(PythonConfigReading&&) = default;
  PythonConfigReading& operator=(PythonConfigReading&& other) noexcept;  // of one that has ended
  ~PythonConfigReading();

  // The socket of its messages, which gunicorn_conf_reader.hpp describes: non-blocking.
  int descriptor() const { return socket_.get(); }
  // Reads what has arrived, without waiting; true once the answer is complete or no more will come.
  bool read_answer();
  Instant deadline() const { return deadline_; }
  // The answer, after read_answer() was true or the deadline has passed; the error names the file. After an error the
  // process has ended; else it waits for messages if the file has hooks of the master.
  Result<std::string> finish(Instant now);

  const PythonConfigRequest& request() const { return request_; }
  pid_t pid() const { return child_.pid(); }  // 0: reaped
  // For the caller that reaps all children. True: this child was ours.
  bool reaped(pid_t pid, int status);
  // Whether it has ended; reaps it then.
  bool ended();
  // Closes the socket: the process ends by itself.
  void close() { socket_ = Fd(); }
  // The same, and whoever reaps all children reaps it.
  void leave();
  // Kills and reaps it.
  void end();
  int status() const { return status_; }  // as waitpid() gave it

 private:
  PythonConfigReading(PythonConfigRequest request, Child child, Fd socket, Instant deadline)
      : request_(std::move(request)), child_(std::move(child)), socket_(std::move(socket)), deadline_(deadline) {}

  void child_has_ended();  // with what it has started

  PythonConfigRequest request_;
  Child child_;
  Fd socket_;
  Instant deadline_;
  std::string text_;
  bool complete_ = false;
  int status_ = 0;
};

// The whole reading, in one call that waits. `reading` is its process, if it could be started.
Result<std::string> read_python_config(const PythonConfigRequest& request, std::optional<PythonConfigReading>& reading);

}  // namespace narwhal::server
