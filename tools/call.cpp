#include "tools/call.hpp"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>
#include <narwhal/testing.hpp>

#include <cstdio>

#include "core/child.hpp"
#include "core/write_all.hpp"
#include "tools/process.hpp"

namespace narwhal::tools {

namespace {

constexpr const char* level_names[] = {"debug", "info", "warning", "error", "critical"};

void say(const std::string& text) { static_cast<void>(write_all(STDERR_FILENO, text + "\n")); }

void print_head(const testing::Answer& answer) {
  std::string head = fmt::format("HTTP/1.1 {}\n", answer.status);
  for (const testing::Fields* fields : {&answer.headers, &answer.host_headers}) {
    for (const auto& [name, value] : *fields) head += name + ": " + value + "\n";
  }
  static_cast<void>(write_all(STDOUT_FILENO, head + "\n"));
}

// What became of the answer; empty: the client has all of it.
std::string fault_of(const testing::Answer& answer, std::chrono::seconds timeout) {
  if (answer.timed_out) return fmt::format("no answer within {} s", timeout.count());
  if (answer.cut) return "the response was cut off";
  return answer.complete ? "" : "the response is not complete";
}

// In the child.
int send(const Call& call) {
  testing::Settings settings;
  settings.options.insert(call.options.begin(), call.options.end());
  settings.prefix = call.prefix;
  settings.timeout = call.timeout;
  settings.patience = call.timeout + std::chrono::seconds(1);
  testing::Worker worker(call.file, settings);
  const auto print_log = [&] {
    for (const testing::LogLine& line : worker.take_log()) {
      const bool is_known = line.level >= NARWHAL_LOG_DEBUG && line.level <= NARWHAL_LOG_CRITICAL;
      say(fmt::format("[{}] {}{}{}", is_known ? level_names[line.level] : "?", line.line, line.text.empty() ? "" : "\n",
                      line.text));
    }
  };
  bool is_well = worker.ready();
  if (is_well) {
    const testing::Answer answer =
        worker.send({.method = call.method, .target = call.target, .body = call.body, .headers = call.headers});
    print_log();
    if (call.shows_head && answer.status != 0) print_head(answer);
    static_cast<void>(write_all(STDOUT_FILENO, answer.body));
    const std::string fault = fault_of(answer, call.timeout);
    is_well = fault.empty();
    if (!is_well) say("narwhal-plugin: " + fault);
    if (answer.status >= 400 && !call.shows_head)
      say(fmt::format("narwhal-plugin: {}{}{}", answer.status, answer.reason.empty() ? "" : ": ", answer.reason));
  } else {
    say("narwhal-plugin: " + worker.boot_error());
  }
  worker.end();
  print_log();
  for (const std::string& breach : worker.take_breaches()) {
    is_well = false;
    say("narwhal-plugin: against the rules of narwhal/plugin.h: " + breach);
  }
  std::fflush(nullptr);  // what the plugin has printed
  return is_well ? 0 : 1;
}

}  // namespace

Result<Done> read_request_line(const std::string& text, Call& call) {
  const std::size_t space = text.find(' ');
  if (space != text.npos) call.method = text.substr(0, space);
  call.target = space == text.npos ? text : text.substr(text.find_first_not_of(' ', space));
  if (!call.method.empty() && (call.target.starts_with('/') || call.target == "*")) return Done{};
  return Error{"'" + text + "' is not a request such as 'GET /path' or '/path'"};
}

Result<std::pair<std::string, std::string>> read_option(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == text.npos || equals == 0) return Error{"'" + text + "' is not an option such as key=value"};
  return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

Result<std::pair<std::string, std::string>> read_header(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == text.npos || colon == 0) return Error{"'" + text + "' is not a header field such as 'Name: value'"};
  const std::size_t value = text.find_first_not_of(" \t", colon + 1);
  return std::pair(text.substr(0, colon), value == text.npos ? std::string() : text.substr(value));
}

Result<int> run_call(const Call& call) {
  Result<Child> child = fork_child([&] {
    try {
      return send(call);
    } catch (const std::exception& error) {
      say(std::string("narwhal-plugin: ") + error.what());
      return 1;
    }
  });
  if (!child) return Error{child.error()};
  const int status = wait_for(*child);
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  return Error{call.file + " " + describe_exit(status) + ": 'gdb --args narwhal --debug " + call.file +
               "' shows where; see narwhal-plugin(7)"};
}

}  // namespace narwhal::tools
