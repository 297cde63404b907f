// Child processes and other programs, run to their end.
// Errors  what cannot be started is an Error that names the program.
#pragma once

#include <string>
#include <vector>

#include "core/child.hpp"
#include "core/result.hpp"

namespace narwhal::tools {

using Words = std::vector<std::string>;

// As a shell reads it as one word again.
std::string shell_word(const std::string& word);

// Waits until it has ended, and reaps it. The status is as waitpid() gives it.
int wait_for(Child& child);

// Replaces this process. Returns only if that fails.
Error become(Words words);

// Runs a program with this one's standard streams. Its exit status; 128 and the signal's number when one ended it.
Result<int> run_program(const Words& words);

// The same with what it writes to both streams.
struct Output {
  int status = 0;
  std::string text;
};
Result<Output> output_of(const Words& words);

}  // namespace narwhal::tools
