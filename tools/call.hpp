// narwhal-plugin call: one request to a plugin without a server, by the test harness (narwhal/testing.hpp).
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "core/result.hpp"

namespace narwhal::tools {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Call {
  std::string file;  // the plugin
  std::string method = "GET", target = "/";
  std::string body;
  Pairs headers, options;
  std::string prefix;  // where the plugin is mounted
  std::chrono::seconds timeout{30};
  bool shows_head = false;
  bool in_process = false;  // of narwhal-plugin, for a debugger: a crash ends it
  std::string repeat;       // the shell's command that does the same in one process
};

// "POST /orders" -> method and target; "/orders" alone is a GET.
Result<Done> read_request_line(const std::string& text, Call& call);
// "key=value"; "Name: value".
Result<std::pair<std::string, std::string>> read_option(const std::string& text);
Result<std::pair<std::string, std::string>> read_header(const std::string& text);

// Runs it in a child process, unless it is in_process. The body goes to stdout, log lines and breaches to stderr. The exit status: 0 when the answer is
// complete and the plugin has kept to the rules. An Error if the plugin has crashed, with the command that shows where.
Result<int> run_call(const Call& call);

}  // namespace narwhal::tools
