// Reads a gunicorn.conf.py in a separate Python process. The master runs no Python, so nothing that the file does stays
// in it, and a file that hangs or crashes harms no other process.
// Output      what the file prints goes to our standard output; Python's traceback goes to the error log.
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

// The interpreter for such a file: that of the workers. Their virtual environment's, else `workers_python`, the program of
// the Python that the plugin for Python applications was built with, else a program of its name on PATH, else any Python.
// The error says where it was looked for.
Result<std::string> find_python(const std::string& venv, const std::map<std::string, std::string>& variables,
                                const std::string& workers_python);

class PythonConfigReading {
 public:
  static Result<PythonConfigReading> start(const PythonConfigRequest& request);
  PythonConfigReading(PythonConfigReading&&) = default;
  PythonConfigReading& operator=(PythonConfigReading&&) = delete;
  ~PythonConfigReading();

  int descriptor() const { return answer_.get(); }  // readable when read_answer() has something to read
  // Reads what has arrived, without waiting; true once no more will come.
  bool read_answer();
  Instant deadline() const { return deadline_; }
  // Ends the process if necessary. Returns the answer, as gunicorn_conf_reader.hpp describes it; the error names the
  // file.
  Result<std::string> finish(Instant now);
  // For the caller that reaps all children. True: this child was ours.
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

// The whole reading, in one call that waits.
Result<std::string> read_python_config(const PythonConfigRequest& request);

}  // namespace narwhal::server
