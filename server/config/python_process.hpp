// Python as a child of the master: which interpreter, and how it is started with a program of ours. The master itself runs
// no Python, so nothing that a file of the operator does stays in it.
// Streams  standard output is ours; standard error is the error log. One more descriptor is inherited.
// Ends     with the master: the kernel kills it then.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/child.hpp"
#include "core/result.hpp"

namespace narwhal::server {

constexpr int exit_python_not_run = 127;  // of a child that could not execute the interpreter

struct PythonProgram {
  std::string interpreter;
  std::string script;                                   // its text
  std::vector<std::string> arguments;                   // of the script
  std::map<std::string, std::string> variables;         // the environment
  std::string directory;                                // its current directory
  std::vector<int> also_inherited{};                    // more descriptors that keep their numbers
  enum class Kind { helper, log } kind = Kind::helper;  // log: keeps our standard error, and outlives the master
};

// The interpreter for the operator's files: that of the workers. Their virtual environment's, else NARWHAL_PYTHON (a
// narwhal that pip has installed sets it to its own), else that of VIRTUAL_ENV, else `workers_python`, the program of the
// Python that the plugin for Python applications was built with, else a program of its name on PATH, else any Python. The
// error says where it was looked for.
Result<std::string> find_python(const std::string& venv, const std::map<std::string, std::string>& variables,
                                const std::string& workers_python);
// With the build's workers_python.
Result<std::string> find_python(const std::string& venv, const std::map<std::string, std::string>& variables);

// "3.11". By the name of the program, to which links lead, as in python3.11; else it is run. The error says why it
// cannot be served.
Result<std::string> version_of_python(const std::string& program);

// `inherited` keeps its number in the child. The caller must reap the child.
Result<Child> start_python(const PythonProgram& program, int inherited);

}  // namespace narwhal::server
