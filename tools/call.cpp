#include "tools/call.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <narwhal/testing.hpp>

#include <atomic>
#include <cstdio>
#include <functional>
#include <new>

#include "core/child.hpp"
#include "core/write_all.hpp"
#include "tools/crash_stack.hpp"
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

// Memory that a child shares: whether it has come to its end, so that the plugin has not ended it.
class SharedMark {
 public:
  SharedMark() {
    void* const at = ::mmap(nullptr, sizeof(bool), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    mark_ = static_cast<std::atomic<bool>*>(at);
  }
  SharedMark(const SharedMark&) = delete;
  SharedMark& operator=(const SharedMark&) = delete;
  ~SharedMark() { ::munmap(mark_, sizeof(bool)); }
  void set() noexcept { *mark_ = true; }
  bool is_set() const noexcept { return *mark_; }

 private:
  std::atomic<bool>* mark_;
};

// As the harness loads it.
std::string path_of(const std::string& file) { return file.find('/') == file.npos ? "./" + file : file; }

// `given_up` is called when there is no answer in time; it may end the process.
int send(const Call& call, const std::function<void()>& given_up) {
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
    if (answer.timed_out) given_up();
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
  if (call.in_process) return send(call, [] {});
  SharedMark is_over;
  Result<Child> child = fork_child([&] {
    try {
      show_stack_of_crash(path_of(call.file));
      // A handler that hangs would keep the process.
      const int code = send(call, [&] {
        if (!show_stacks_in_plugin()) return;
        say("narwhal-plugin: its handler has not returned: the process is ended");
        is_over.set();
        ::_exit(1);
      });
      is_over.set();
      return code;
    } catch (const std::exception& error) {
      say(std::string("narwhal-plugin: ") + error.what());
      is_over.set();
      return 1;
    }
  });
  if (!child) return Error{child.error()};
  const int status = wait_for(*child);
  if (WIFEXITED(status) && is_over.is_set()) return WEXITSTATUS(status);
  if (WIFEXITED(status)) {
    return Error{call.file + " " + describe_exit(status) +
                 " before the call was over: a plugin must not end its process"};
  }
  return Error{call.file + " " + describe_exit(status) + ". To see it in gdb:\ngdb -ex run -ex bt --args " +
               call.repeat};
}

}  // namespace narwhal::tools
