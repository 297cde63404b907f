// A gunicorn.conf.py, read by a Python of its own: the master runs no Python, so that nothing the file does can stay in
// it, and a file that hangs or crashes takes nobody along.
// Output      what the file prints goes where ours does; Python's traceback goes to the error log.
// Trust       the file is the operator's and may do what it likes, but for time and for the length of its answer.
// Ownership   a reading owns its process: destroyed early, it kills it.
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
  std::string shown_name;  // of the file, in errors
  std::string location;    // absolute path, or "python:MODULE"
  std::string venv;        // folder of a virtual environment whose Python is to run; empty: VIRTUAL_ENV's, PATH's
  std::vector<std::string_view> names;           // of the settings that are asked for
  std::map<std::string, std::string> variables;  // the environment
  std::string directory;                         // where to read it; the first place that imports are looked for in
  std::chrono::seconds limit{0};                 // for all of it; 0: none
};

// The interpreter for such a file; the error says where none was found.
Result<std::string> find_python(const std::string& venv, const std::map<std::string, std::string>& variables);

class PythonConfigReading {
 public:
  static Result<PythonConfigReading> start(const PythonConfigRequest& request);
  PythonConfigReading(PythonConfigReading&&) = default;
  PythonConfigReading& operator=(PythonConfigReading&&) = delete;
  ~PythonConfigReading();

  int descriptor() const { return answer_.get(); }  // readable when there is something to hear
  // Reads what is there, without waiting; true once there will be no more.
  bool hear();
  Instant deadline() const { return deadline_; }
  // Ends the process, if need be. The answer, as gunicorn_conf_reader.hpp has it; the error names the file.
  Result<std::string> finish(Instant now);
  // For who reaps all children. True: it was ours.
  bool reaped(pid_t pid, int status);

 private:
  PythonConfigReading(std::string shown_name, Child child, Fd answer, Instant deadline)
      : shown_name_(std::move(shown_name)), child_(std::move(child)), answer_(std::move(answer)), deadline_(deadline) {}
  void end();

  std::string shown_name_;
  Child child_;
  Fd answer_;
  Instant deadline_;
  std::string text_;
  int status_ = 0;  // as waitpid() gave it
};

// The whole of it; waits.
Result<std::string> read_python_config(const PythonConfigRequest& request);

}  // namespace narwhal::server
